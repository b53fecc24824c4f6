//! `wait`: until jobs are delivered.

mod bar;

use std::{
    cell::RefCell,
    collections::HashMap,
    fmt::{self, Display, Formatter},
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use distjob_core::{Conclusion, Ending, JobEntry, JobId, JobState, Source};
use distjob_runtime::{
    exit::{Status, StoreUnreachable},
    reach::Reach,
    zk::JobRead,
};
use futures::{TryStreamExt as _, stream::FuturesUnordered};
use serde::Serialize;
use tokio::time::timeout;

use crate::{
    output::{Output, counted, table},
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
    Delivered {
        /// What it came to: `succeeded`, `partly-failed`, `failed`; `null` when the watcher that delivered it did not
        /// say.
        conclusion: Option<&'static str>,
        /// How many tasks it had, when that was said.
        tasks: Option<u64>,
        /// How many of them failed, when that was said.
        failed: Option<u64>,
    },
    /// It was over before, and nobody remembers how it ended.
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
    /// That of a job that ended so, `None` when nothing was said but that it was delivered.
    fn of(ending: Option<Ending>) -> Self {
        match ending {
            Some(ending) if ending.conclusion == Conclusion::Cancelled => Self::Cancelled,
            ending => Self::Delivered {
                conclusion: ending.map(|ending| ending.conclusion.as_str()),
                tasks: ending.map(|ending| ending.count),
                failed: ending.map(|ending| ending.failed),
            },
        }
    }

    /// With which status a run ends that has waited for this job alone.
    fn status(&self) -> Status {
        let Self::Delivered { conclusion, .. } = self else {
            return Status::Failure;
        };
        match conclusion.and_then(|word| word.parse().ok()) {
            // A watcher of an earlier version promised no more than that it is delivered.
            None | Some(Conclusion::Succeeded) => Status::Success,
            Some(Conclusion::PartlyFailed) => Status::Partial,
            Some(Conclusion::Failed | Conclusion::Cancelled) => Status::Failure,
        }
    }
}

/// The worst of them.
fn worst(statuses: impl IntoIterator<Item = Status>) -> Status {
    let rank = |status: &Status| match status {
        Status::Success => 0,
        Status::Partial => 1,
        _ => 2,
    };
    statuses.into_iter().max_by_key(rank).unwrap_or(Status::Success)
}

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
            Self::Delivered {
                conclusion: Some(conclusion),
                tasks,
                failed: Some(failed @ 1..),
            } => {
                let tasks = counted(tasks.unwrap_or_default(), "task");
                write!(f, "delivered, {conclusion}: {failed} of {tasks} failed")
            }
            Self::Delivered {
                conclusion: Some(conclusion),
                ..
            } => write!(f, "delivered, {conclusion}"),
            Self::Delivered { .. } => f.write_str("delivered"),
            Self::Over => f.write_str("was over before, nobody remembers how it ended"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::Lost { why: Some(why) } => write!(f, "lost: {why}"),
            Self::Lost { why: None } => f.write_str("lost"),
            Self::Unknown => {
                f.write_str("no such job: it never was, or ended longer ago than the watchers' tombstone_ttl")
            }
            Self::Unreadable { why } => write!(f, "no job: {why}"),
            Self::Waiting => f.write_str("not done yet"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivered(conclusion: Conclusion, failed: u64) -> Outcome {
        Outcome::of(Some(Ending {
            count: 100,
            failed,
            conclusion,
        }))
    }

    #[test]
    fn the_status_is_that_of_the_worst_job() {
        let succeeded = delivered(Conclusion::Succeeded, 0).status();
        let partly = delivered(Conclusion::PartlyFailed, 1).status();
        let failed = delivered(Conclusion::Failed, 100).status();
        assert_eq!(worst([succeeded, succeeded]), Status::Success);
        assert_eq!(worst([partly, succeeded]), Status::Partial);
        assert_eq!(worst([partly, failed, succeeded]), Status::Failure);
        assert_eq!(worst([Outcome::Over.status(), partly]), Status::Failure);
        assert_eq!(Outcome::of(None).status(), Status::Success);
        assert_eq!(delivered(Conclusion::Cancelled, 0), Outcome::Cancelled);
    }

    fn report() -> Report {
        let waited = |id: &str, outcome| Waited {
            id: id.to_owned(),
            outcome,
        };
        Report {
            jobs: vec![
                waited("a", delivered(Conclusion::Succeeded, 0)),
                waited("p", delivered(Conclusion::PartlyFailed, 30)),
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
            "ID  OUTCOME\na   delivered, succeeded\np   delivered, partly-failed: 30 of 100 tasks failed\n\
             b   lost: a hole\nc   not done yet\n"
        );
    }

    #[test]
    fn programs_see_one_word_an_outcome() {
        assert_eq!(
            serde_json::to_value(report()).unwrap(),
            serde_json::json!({"jobs": [
                {"id": "a", "outcome": "delivered", "conclusion": "succeeded", "tasks": 100, "failed": 0},
                {"id": "p", "outcome": "delivered", "conclusion": "partly-failed", "tasks": 100, "failed": 30},
                {"id": "b", "outcome": "lost", "why": "a hole"},
                {"id": "c", "outcome": "waiting"},
            ]})
        );
    }
}
