//! `wait`: until jobs are delivered.

mod bar;
mod report;

use std::{cell::RefCell, collections::HashMap, time::Duration};

use anyhow::{Context as _, anyhow};
use distjob_core::{Conclusion, Ending, JobEntry, JobId, JobState, Source};
use distjob_runtime::{
    exit::{Status, StoreUnreachable},
    reach::Reach,
    zk::JobRead,
};
use futures::{TryStreamExt as _, stream::FuturesUnordered};
use tokio::time::timeout;

use self::report::{Outcome, Report, Waited, worst};
use crate::{output::Output, survey};

/// How long a store may stay away when there is no limit to waiting.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How a job without tasks ends.
const NOTHING: Ending = Ending {
    count: 0,
    failed: 0,
    conclusion: Conclusion::Succeeded,
};

/// The jobs that were seen, and whether they are over.
type Seen = RefCell<HashMap<JobId, (JobEntry, bool)>>;

pub(crate) async fn run(
    reach: &Reach,
    output: Output,
    ids: Vec<JobId>,
    limit: Option<Duration>,
) -> anyhow::Result<Status> {
    let (seen, outcomes) = (Seen::default(), RefCell::new(HashMap::new()));
    let all: FuturesUnordered<_> = ids
        .iter()
        .map(|id| async {
            let outcome = wait_for(reach, id, &seen).await?;
            outcomes.borrow_mut().insert(id.clone(), outcome);
            anyhow::Ok(())
        })
        .collect();
    let waiting = async {
        tokio::select! {
            done = all.try_collect::<()>() => done,
            never = bar::show(reach, &seen) => match never {},
        }
    };
    match limit {
        None => waiting.await?,
        Some(limit) => match timeout(limit, waiting).await {
            Ok(done) => done?,
            // Not known to be undone: nobody answered.
            Err(_) if let Some(store) = reach.away() => {
                return Err(anyhow!("no answer within {limit:?}").context(StoreUnreachable(store)));
            }
            Err(_) => {}
        },
    }
    let outcomes = outcomes.into_inner();
    let jobs: Vec<_> = ids
        .iter()
        .map(|id| Waited {
            id: id.to_string(),
            outcome: outcomes.get(id).cloned().unwrap_or(Outcome::Waiting),
        })
        .collect();
    let status = worst(jobs.iter().map(|job| job.outcome.status()));
    output.report(&Report { jobs })?;
    Ok(status)
}

async fn wait_for(reach: &Reach, id: &JobId, seen: &Seen) -> anyhow::Result<Outcome> {
    loop {
        let read = reach.zookeeper(|ledger| async move { ledger.read_and_watch(id).await });
        let (read, watch) = read.await.with_context(|| format!("read job {id}"))?;
        match read {
            JobRead::Job(entry) => {
                let before = seen.borrow().get(id).map(|(entry, _)| entry.life);
                if before.is_some_and(|life| life != entry.life) {
                    // The one that was waited for is gone; this is a later job of the same id.
                    return over(reach, id, seen).await;
                }
                match entry.data.state {
                    JobState::Cancelled => return Ok(Outcome::Cancelled),
                    JobState::Lost => return Ok(Outcome::Lost { why: entry.data.why }),
                    _ => seen.borrow_mut().insert(id.clone(), (entry, false)),
                };
            }
            JobRead::Unreadable(_, error) => {
                return Ok(Outcome::Unreadable {
                    why: format!("its data {error}"),
                });
            }
            JobRead::Gone if seen.borrow().contains_key(id) => return over(reach, id, seen).await,
            // This server may not have heard of it yet.
            JobRead::Gone => match survey::read_fresh(reach, id).await? {
                JobRead::Gone => return before(reach, id).await,
                _ => continue,
            },
        }
        if let Some(watch) = watch {
            tracing::debug!(job.id = %id, "waiting for a change");
            watch.changed().await;
        }
    }
}

/// What became of a job that was seen and is gone: only delivered and cancelled ones go.
async fn over(reach: &Reach, id: &JobId, seen: &Seen) -> anyhow::Result<Outcome> {
    let entry = seen.borrow_mut().get_mut(id).map(|(entry, is_over)| {
        *is_over = true;
        entry.clone()
    });
    let Some(entry) = entry else {
        return before(reach, id).await;
    };
    if let Some(ending) = entry.data.ending() {
        return Ok(Outcome::of(Some(ending)));
    }
    // It went too fast to be seen in its last state: its tombstone tells.
    let tombstone = survey::inspect(reach, id, &Source::Plain).await?.meta;
    let ending = tombstone.filter(|meta| meta.life == entry.life);
    Ok(Outcome::of(ending.and_then(|meta| meta.ending()).or_else(
        // One without tasks may leave none, and nothing of it can have failed.
        || (entry.data.count == 0).then_some(NOTHING),
    )))
}

/// What became of a job that the ledger does not know any more.
async fn before(reach: &Reach, id: &JobId) -> anyhow::Result<Outcome> {
    let inspection = survey::inspect(reach, id, &Source::Plain).await?;
    Ok(match inspection.meta.map(|meta| meta.ending()) {
        Some(Some(ending)) => Outcome::of(Some(ending)),
        Some(None) => Outcome::Over,
        None => Outcome::Unknown,
    })
}
