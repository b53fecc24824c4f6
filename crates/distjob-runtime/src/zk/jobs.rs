//! The live view of all jobs.

mod agenda;
mod audience;
mod follower;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use distjob_core::{JobEntry, JobId};
use tokio::sync::{Notify, watch};
use tokio_util::task::AbortOnDropHandle;

pub use self::audience::Audience;
use self::follower::Follower;
use super::Ledger;

/// What happened to a job since it was last asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobChange {
    /// It is there and looks like this.
    Seen(JobEntry),
    /// It is gone, or what stands there is no job (which has been reported).
    Gone,
}

/// A picture of all jobs that follows ZooKeeper for as long as its session lives.
///
/// One recursive persistent watch tells what changes. Each change is answered by a read of that znode, together with
/// others that changed, and [how soon](distjob_core::attention) depends on the [`Audience`]; what is gone before it was
/// read is never read. After every
/// reconnect the watch is set again, all names are listed and all jobs are read again: the server forgets persistent
/// watches when it restarts, and the client does not repeat them. A slow scrub does the same bit by bit, in case
/// anything else gets lost.
///
/// Changes are kept per job until they are fetched: a slow reader sees fewer of them, never an old one, and memory
/// is bounded by the number of jobs.
#[derive(Debug)]
pub struct JobsView {
    shared: Arc<Shared>,
    listed: watch::Receiver<bool>,
    _task: AbortOnDropHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    changes: Mutex<BTreeMap<JobId, JobChange>>,
    arrived: Notify,
}

impl Shared {
    fn publish(&self, id: JobId, change: JobChange) {
        self.changes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, change);
        self.arrived.notify_one();
    }

    fn take(&self) -> BTreeMap<JobId, JobChange> {
        std::mem::take(&mut self.changes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl JobsView {
    /// Follows the jobs of `ledger` for `audience`. What a member's own ledger writes is no news to it, so that ledger is to
    /// be this one or a clone.
    #[must_use]
    pub fn follow(ledger: Ledger, audience: Audience, scrub_every: Duration) -> Self {
        let shared = Arc::new(Shared::default());
        let (listed_sender, listed) = watch::channel(false);
        let follower = Follower::new(ledger, shared.clone(), listed_sender, audience, scrub_every);
        Self {
            shared,
            listed,
            _task: AbortOnDropHandle::new(tokio::spawn(follower.run())),
        }
    }

    /// Waits until something changed, and takes all changes since the last call: the newest picture of each job, by id.
    ///
    /// Cancel safe: changes that were not returned are returned by the next call. For one caller at a time.
    pub async fn changes(&self) -> BTreeMap<JobId, JobChange> {
        loop {
            let changes = self.shared.take();
            if !changes.is_empty() {
                return changes;
            }
            self.shared.arrived.notified().await;
        }
    }

    /// Waits until all jobs that were there at the start have been read. Never ends when the session does first.
    /// Cancel safe.
    pub async fn complete(&mut self) {
        if self.listed.wait_for(|listed| *listed).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
