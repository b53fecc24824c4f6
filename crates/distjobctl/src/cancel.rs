//! `cancel` and `restore`: the two changes of a job's state that are an operator's.

use std::fmt::{self, Display, Formatter};

use anyhow::Context as _;
use distjob_core::{
    JobId, JobState,
    ledger::{Actor, allows},
};
use distjob_runtime::{
    exit::Status,
    reach::Reach,
    zk::{JobRead, Written},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;

use crate::output::{Output, table};

/// Changes that are under way at once.
const AT_ONCE: usize = 64;

#[derive(Debug, Serialize)]
struct Report {
    /// In the order in which they were named.
    jobs: Vec<Changed>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Changed {
    id: String,
    /// The state that was asked for.
    to: &'static str,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Outcome {
    /// It is in that state now.
    Done {
        /// In which it was.
        was: &'static str,
    },
    /// It was in that state already.
    Already,
    /// It is in a state that does not allow it: `uploaded` is too late to cancel, only `lost` can be restored.
    Refused {
        /// In which it is.
        is: &'static str,
    },
    /// There is no such job; it may be over.
    Unknown,
    /// The znode of that id is no job.
    Unreadable {
        /// What is wrong with it.
        why: String,
    },
}

impl Outcome {
    const fn is_success(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Already)
    }
}

pub(crate) async fn cancel(reach: &Reach, output: Output, ids: Vec<JobId>) -> anyhow::Result<Status> {
    let jobs = stream::iter(ids)
        .map(|id| async move { change(reach, &id, JobState::Cancelled).await })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    tell(output, jobs)
}

pub(crate) async fn restore(reach: &Reach, output: Output, id: &JobId) -> anyhow::Result<Status> {
    tell(output, vec![change(reach, id, JobState::Submitted).await?])
}

fn tell(output: Output, jobs: Vec<Changed>) -> anyhow::Result<Status> {
    let all_well = jobs.iter().all(|job| job.outcome.is_success());
    output.report(&Report { jobs })?;
    Ok(if all_well {
        Status::Success
    } else {
        Status::Failure
    })
}

async fn change(reach: &Reach, id: &JobId, to: JobState) -> anyhow::Result<Changed> {
    let outcome = reach
        .zookeeper(|ledger| async move {
            loop {
                let entry = match ledger.read_fresh(id).await? {
                    JobRead::Job(entry) => entry,
                    JobRead::Gone => return Ok(Outcome::Unknown),
                    JobRead::Unreadable(_, error) => {
                        return Ok(Outcome::Unreadable {
                            why: format!("its data {error}"),
                        });
                    }
                };
                let from = entry.data.state;
                if from == to {
                    return Ok(Outcome::Already);
                } else if !allows(Actor::Operator, from, Some(to)) {
                    return Ok(Outcome::Refused { is: from.as_str() });
                }
                // Overtaken: look again whether it still can be.
                if ledger.set(id, &entry, &entry.data.in_state(to)).await? == Written::Yes {
                    return Ok(Outcome::Done { was: from.as_str() });
                }
            }
        })
        .await
        .with_context(|| format!("change job {id}"))?;
    Ok(Changed {
        id: id.to_string(),
        to: to.as_str(),
        outcome,
    })
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let rows: Vec<_> = self
            .jobs
            .iter()
            .map(|job| [job.id.clone(), job.to_string()])
            .collect();
        f.write_str(&table(["ID", "OUTCOME"], &rows))
    }
}

impl Display for Changed {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let is_cancel = self.to == JobState::Cancelled.as_str();
        match &self.outcome {
            Outcome::Done { was } if is_cancel => write!(f, "cancelled, was {was}"),
            Outcome::Done { was } => write!(f, "restored, was {was}"),
            Outcome::Already if is_cancel => f.write_str("cancelled already"),
            Outcome::Already => f.write_str("not lost: it is being worked on"),
            Outcome::Refused { is } if is_cancel => write!(f, "too late to cancel: it is {is}"),
            Outcome::Refused { is } => write!(f, "only a lost job can be restored, this one is {is}"),
            Outcome::Unknown => f.write_str("no such job; it may be over"),
            Outcome::Unreadable { why } => write!(f, "no job: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_hears_what_became_of_each_job_and_why() {
        let changed = |id: &str, to: JobState, outcome| Changed {
            id: id.to_owned(),
            to: to.as_str(),
            outcome,
        };
        let report = Report {
            jobs: vec![
                changed("a", JobState::Cancelled, Outcome::Done { was: "subm" }),
                changed("b", JobState::Cancelled, Outcome::Refused { is: "uploaded" }),
                changed("c", JobState::Submitted, Outcome::Refused { is: "cncl" }),
            ],
        };
        assert_eq!(
            report.to_string(),
            "ID  OUTCOME\n\
             a   cancelled, was subm\n\
             b   too late to cancel: it is uploaded\n\
             c   only a lost job can be restored, this one is cncl\n"
        );
        assert_eq!(
            serde_json::to_value(&report.jobs[1]).unwrap(),
            serde_json::json!({"id": "b", "to": "cncl", "outcome": "refused", "is": "uploaded"})
        );
    }
}
