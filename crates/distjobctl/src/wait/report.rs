//! What became of the jobs that somebody waited for.

use std::fmt::{self, Display, Formatter};

use distjob_core::{Conclusion, Ending};
use distjob_runtime::exit::Status;
use serde::Serialize;

use crate::output::{counted, table};

#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// In the order in which they were named.
    pub(super) jobs: Vec<Waited>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Waited {
    pub(super) id: String,
    #[serde(flatten)]
    pub(super) outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(super) enum Outcome {
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
    pub(super) fn of(ending: Option<Ending>) -> Self {
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
    pub(super) fn status(&self) -> Status {
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
pub(super) fn worst(statuses: impl IntoIterator<Item = Status>) -> Status {
    let rank = |status: &Status| match status {
        Status::Success => 0,
        Status::Partial => 1,
        _ => 2,
    };
    statuses.into_iter().max_by_key(rank).unwrap_or(Status::Success)
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
