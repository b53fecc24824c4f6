//! A job and a task of it, as handlers see them.

use std::sync::Arc;

use distjob_core::{JobId, QueueName, Zxid, store::Payloads};
use tokio::time::Instant;

/// The job that a task belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Which life of the id: an id may be used again when its job is done.
    pub life: Zxid,
    /// The kind of work.
    pub queue: QueueName,
}

impl Job {
    /// A text that names one task of this job for ever, the same for each of its attempts on any machine:
    /// `<id>.<life, 16 hexadecimal digits>.<index>`. A receiver that remembers it does nothing twice.
    #[must_use]
    pub fn idempotency_key(&self, index: u64) -> String {
        format!("{}.{}.{index}", self.id, self.life)
    }
}

/// A task to be run. Whoever has it records a verdict of it.
#[derive(Debug)]
#[must_use = "a task that nobody records fails"]
pub struct Task {
    /// Its index in the job.
    pub index: u64,
    /// How often it is run with this time, from 1. Counted in the memory of one executor: after its death or departure
    /// the count begins anew elsewhere.
    pub attempt: u32,
    /// When it began.
    pub begun: Instant,
    /// The payloads of the lease.
    pub(crate) payloads: Arc<Payloads>,
    /// Which of them is its own.
    pub(crate) position: usize,
}

impl Task {
    /// What to work on.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.payloads.get(self.position).unwrap_or_default()
    }
}
