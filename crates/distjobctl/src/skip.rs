//! `skip`: a sink that need not have the result of a job.

use std::fmt::{self, Display, Formatter};

use anyhow::Context as _;
use distjob_core::{JobId, JobState, SinkName, job::SKIPS_MAX};
use distjob_runtime::{
    exit::Status,
    reach::Reach,
    zk::{JobRead, Written},
};
use serde::Serialize;

use crate::output::Output;

#[derive(Debug, Serialize)]
struct Report {
    id: String,
    sink: String,
    #[serde(flatten)]
    outcome: Outcome,
    /// All sinks that are skipped for the job, if there is one.
    skip: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Outcome {
    /// It is skipped from now on.
    Done,
    /// It was skipped already.
    Already,
    /// The job is in a state in which nothing is skipped: it is `uploaded`, so that every sink has it; it was given up; or
    /// it is lost.
    Refused {
        /// In which it is.
        is: &'static str,
    },
    /// So many sinks are skipped that there is no room for one more.
    Full,
    /// There is no such job; it may be over.
    Unknown,
    /// The znode of that id is no job.
    Unreadable {
        /// What is wrong with it.
        why: String,
    },
}

pub(crate) async fn run(
    reach: &Reach,
    output: Output,
    id: &JobId,
    sink: &SinkName,
) -> anyhow::Result<Status> {
    let (outcome, skip) = reach
        .zookeeper(|ledger| async move {
            loop {
                let entry = match ledger.read_fresh(id).await? {
                    JobRead::Job(entry) => entry,
                    JobRead::Gone => return Ok((Outcome::Unknown, Vec::new())),
                    JobRead::Unreadable(_, error) => {
                        let why = format!("its data {error}");
                        return Ok((Outcome::Unreadable { why }, Vec::new()));
                    }
                };
                let (skip, state) = (&entry.data.ties.skip, entry.data.state);
                if skip.contains(sink) {
                    return Ok((Outcome::Already, skip.clone()));
                }
                if !matches!(
                    state,
                    JobState::Submitted | JobState::Processed | JobState::Zipped
                ) {
                    return Ok((Outcome::Refused { is: state.as_str() }, skip.clone()));
                }
                let Some(skipping) = entry.data.skipping(sink) else {
                    return Ok((Outcome::Full, skip.clone()));
                };
                // Nothing but this is changed, so whoever writes next takes it over or is told of it.
                if ledger.set(id, &entry, &skipping).await? == Written::Yes {
                    return Ok((Outcome::Done, skipping.ties.skip.clone()));
                }
            }
        })
        .await
        .with_context(|| format!("change job {id}"))?;
    let is_success = matches!(outcome, Outcome::Done | Outcome::Already);
    output.report(&Report {
        id: id.to_string(),
        sink: sink.to_string(),
        outcome,
        skip: skip.iter().map(ToString::to_string).collect(),
    })?;
    Ok(if is_success {
        Status::Success
    } else {
        Status::Failure
    })
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            id, sink, outcome, ..
        } = self;
        match outcome {
            Outcome::Done => writeln!(f, "job {id}: sink {sink} is skipped from now on"),
            Outcome::Already => writeln!(f, "job {id}: sink {sink} was skipped already"),
            Outcome::Refused { is } => writeln!(
                f,
                "job {id}: is {is}, nothing was changed: only a job in subm, prcd or zpd waits for its sinks"
            ),
            Outcome::Full => writeln!(
                f,
                "job {id}: {SKIPS_MAX} sinks are skipped already, nothing was changed"
            ),
            Outcome::Unknown => writeln!(f, "job {id}: there is no such job, it may be over"),
            Outcome::Unreadable { why } => writeln!(f, "job {id}: the znode is no job, {why}"),
        }
    }
}
