//! Handlers on trial, without stores.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use distjob_core::{JobId, QueueName, Zxid, retry::Policy};

use super::{
    Handler, Job, Tasks, Verdict,
    tasks::{CommitLimits, Terms},
};

/// The tasks of one lease, for a trial of a handler.
#[derive(Debug)]
pub struct Trial {
    /// The job that they belong to.
    pub job: Job,
    /// The payloads of the tasks 0, 1, 2 and so on.
    pub payloads: Vec<Vec<u8>>,
    /// As which attempt they are run, from 1.
    pub attempt: u32,
    /// Whether nothing else may share their process.
    pub alone: bool,
}

impl Trial {
    /// First attempts at tasks with these payloads, in the job `trial` of this queue.
    ///
    /// # Panics
    /// Never: the name is one.
    #[must_use]
    pub fn new<P: Into<Vec<u8>>>(queue: QueueName, payloads: impl IntoIterator<Item = P>) -> Self {
        let id = JobId::new("trial").expect("it is an id");
        Self {
            job: Job {
                id,
                life: Zxid::new(1),
                queue,
            },
            payloads: payloads.into_iter().map(Into::into).collect(),
            attempt: 1,
            alone: false,
        }
    }

    /// Lets a handler run them once, and answers what it said of each, by index. What it began and did not record is
    /// missing there. Needs tokio's runtime, as handlers do.
    pub async fn run(self, handler: &dyn Handler) -> BTreeMap<u64, Verdict> {
        let tasks = self.tasks();
        handler.run(tasks.clone()).await;
        tasks.take_heard()
    }

    /// The tasks, for a handler whose future the caller wants to poll or to drop by himself.
    #[must_use]
    pub fn tasks(self) -> Tasks {
        Tasks::on_trial(Terms {
            job: Arc::new(self.job),
            first: 0,
            payloads: Arc::new(self.payloads.iter().collect()),
            attempt: self.attempt,
            alone: self.alone,
            policy: Policy::ONCE,
            commit: CommitLimits {
                bytes: usize::MAX / 2,
                time: Duration::from_secs(1 << 30),
            },
        })
    }
}
