//! What a result is, in short.

use distjob_core::{Conclusion, JobEntry, JobId, QueueName};
use serde::{Serialize, Serializer};

use super::Tally;

/// What a result is, in short: one JSON object beside it. Fields may be added, none is renamed or removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Manifest {
    /// The job.
    pub id: JobId,
    /// Which job of that id, as 16 hexadecimal digits: the creation zxid of its znode.
    pub life: String,
    /// The kind of its work.
    pub queue: QueueName,
    /// What it came to: `succeeded`, `partly-failed` or `failed`.
    #[serde(serialize_with = "word")]
    pub conclusion: Conclusion,
    /// How many tasks it had: so many lines has the result.
    pub tasks: u64,
    /// How many of them have a value.
    pub ok: u64,
    /// How many of them have an error.
    pub failed: u64,
    /// How often tasks were run, for as much as handlers kept count: `tasks`, and each further attempt.
    pub attempts: u64,
    /// How many bytes the result has.
    pub bytes: u64,
    /// When the job was created, in milliseconds since 1970 by ZooKeeper's clock.
    pub created_ms: i64,
    /// Until when its tasks were allowed to run, in milliseconds since 1970.
    pub deadline_ms: Option<u64>,
    /// When this was written, in milliseconds since 1970 by the watcher's clock.
    pub delivered_ms: u64,
}

impl Manifest {
    /// That of the result of job `id` with this `tally`.
    #[must_use]
    pub fn new(
        id: &JobId,
        entry: &JobEntry,
        tally: Tally,
        conclusion: Conclusion,
        delivered_ms: u64,
    ) -> Self {
        Self {
            id: id.clone(),
            life: entry.life.to_string(),
            queue: entry.data.queue.clone(),
            conclusion,
            tasks: tally.ok + tally.err,
            ok: tally.ok,
            failed: tally.err,
            attempts: tally.attempts,
            bytes: tally.bytes,
            created_ms: entry.created_ms,
            deadline_ms: entry.data.deadline_ms,
            delivered_ms,
        }
    }
}

fn word<S: Serializer>(conclusion: &Conclusion, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(conclusion.as_str())
}
