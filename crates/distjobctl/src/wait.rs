//! `wait`: until jobs are delivered.

mod bar;

use std::{
    cell::RefCell,
    collections::HashMap,
    fmt::{self, Display, Formatter},
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use distjob_core::{JobEntry, JobId, JobState, Source};
use distjob_runtime::{
    exit::{Status, StoreUnreachable},
    reach::Reach,
    zk::JobRead,
};
use futures::{TryStreamExt as _, stream::FuturesUnordered};
use serde::Serialize;
use tokio::time::timeout;

use crate::{
    output::{Output, table},
    survey,
};

/// How long a store may stay away when there is no limit to waiting.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Serialize)]
struct Report {
    /// In the order in which they were named.
    jobs: Vec<Waited>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Waited {
    id: String,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Outcome {
    /// Its results are delivered, and it is cleaned up.
    Delivered,
    /// It was over before: delivered, or cancelled so long ago that only its end is known.
    Over,
    /// It was cancelled.
    Cancelled,
    /// Its data is lost.
    Lost {
        /// Why, as the ledger has it.
        why: Option<String>,
    },
    /// There is no such job, and none is remembered.
    Unknown,
    /// The znode of that id is no job.
    Unreadable {
        /// What is wrong with it.
        why: String,
    },
    /// The time was over.
    Waiting,
}

impl Outcome {
    const fn is_success(&self) -> bool {
        matches!(self, Self::Delivered | Self::Over)
    }
}

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
    let all_well = jobs.iter().all(|job| job.outcome.is_success());
    output.report(&Report { jobs })?;
    Ok(if all_well {
        Status::Success
    } else {
        Status::Failure
    })
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
                    return Ok(over(id, seen));
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
            JobRead::Gone if seen.borrow().contains_key(id) => return Ok(over(id, seen)),
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

/// The job was seen and is gone: only delivered and cancelled ones go, and a cancelled one is seen as such first.
fn over(id: &JobId, seen: &Seen) -> Outcome {
    if let Some((_, is_over)) = seen.borrow_mut().get_mut(id) {
        *is_over = true;
    }
    Outcome::Delivered
}

/// What became of a job that the ledger does not know any more.
async fn before(reach: &Reach, id: &JobId) -> anyhow::Result<Outcome> {
    let inspection = survey::inspect(reach, id, &Source::Plain).await?;
    Ok(match inspection.meta {
        Some(_) => Outcome::Over,
        None => Outcome::Unknown,
    })
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let rows: Vec<_> = self
            .jobs
            .iter()
            .map(|job| [job.id.clone(), job.outcome.to_string()])
            .collect();
        f.write_str(&table(["ID", "OUTCOME"], &rows))
    }
}

impl Display for Outcome {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delivered => f.write_str("delivered"),
            Self::Over => f.write_str("was over before"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::Lost { why: Some(why) } => write!(f, "lost: {why}"),
            Self::Lost { why: None } => f.write_str("lost"),
            Self::Unknown => f.write_str("no such job"),
            Self::Unreadable { why } => write!(f, "no job: {why}"),
            Self::Waiting => f.write_str("not done yet"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let waited = |id: &str, outcome| Waited {
            id: id.to_owned(),
            outcome,
        };
        Report {
            jobs: vec![
                waited("a", Outcome::Delivered),
                waited(
                    "b",
                    Outcome::Lost {
                        why: Some("a hole".to_owned()),
                    },
                ),
                waited("c", Outcome::Waiting),
            ],
        }
    }

    #[test]
    fn people_see_what_became_of_each_job() {
        assert_eq!(
            report().to_string(),
            "ID  OUTCOME\na   delivered\nb   lost: a hole\nc   not done yet\n"
        );
    }

    #[test]
    fn programs_see_one_word_an_outcome() {
        assert_eq!(
            serde_json::to_value(report()).unwrap(),
            serde_json::json!({"jobs": [
                {"id": "a", "outcome": "delivered"},
                {"id": "b", "outcome": "lost", "why": "a hole"},
                {"id": "c", "outcome": "waiting"},
            ]})
        );
    }
}
