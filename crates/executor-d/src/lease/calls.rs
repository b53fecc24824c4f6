//! What a run asks of the store.

use std::time::Duration;

use distjob_core::{
    Packed, TaskRange,
    store::{Commit, CommitRequest, ReleaseRequest},
};
use distjob_runtime::store::StoreError;
use tokio::time::sleep;

use super::Runner;
use crate::handler::Job;

/// The first pause after a call that failed; it doubles up to [`PAUSE_MAX`].
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// A change of a lease.
#[derive(Debug)]
pub(super) enum Call {
    /// Record the outcomes of a run of tasks that begins there.
    Commit(u64, Packed),
    /// Give back tasks that have not begun.
    Release(TaskRange),
}

impl Call {
    /// Makes the call, however long that takes. An unclear one is repeated: it takes effect once.
    pub(super) async fn make(self, runner: Runner, job: std::sync::Arc<Job>) -> (Self, Commit) {
        let mut pause = PAUSE;
        loop {
            match self.attempt(&runner, &job).await {
                Ok(answer) => return (self, answer),
                Err(error) => {
                    let (from, upto) = self.range();
                    tracing::warn!(job.id = %job.id, range = %format_args!("{from}..{upto}"), %error, "repeating a {}", self.name());
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn attempt(&self, runner: &Runner, job: &Job) -> Result<Commit, StoreError> {
        let (life, holder) = (job.life, &runner.holder);
        match self {
            Self::Commit(lo, outcomes) => {
                let request = CommitRequest {
                    life,
                    holder,
                    lo: *lo,
                    outcomes,
                };
                runner.store.commit(&job.id, &request).await
            }
            Self::Release(range) => {
                let request = ReleaseRequest {
                    life,
                    holder,
                    range: *range,
                };
                runner.store.release(&job.id, &request).await
            }
        }
    }

    /// From where to where.
    pub(super) const fn range(&self) -> (u64, u64) {
        match self {
            Self::Commit(lo, outcomes) => (*lo, *lo + outcomes.count()),
            Self::Release(range) => (range.lo(), range.hi()),
        }
    }

    /// What it is called.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Commit(..) => "commit",
            Self::Release(_) => "release",
        }
    }
}
