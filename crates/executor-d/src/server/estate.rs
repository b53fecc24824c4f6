//! What the dead left.
//!
//! Whoever visits a job frees what the dead hold of it. But a visit takes work along, so with many jobs in the round it
//! may be long until each was visited; and nobody but the dead one's own store knows in which jobs it had its hands. So
//! when an executor dies, each of the others frees whatever it may have held in the jobs that are their share now, and
//! then visits first the jobs in which there was something. It is a short cut and no more: what it misses is found by
//! the visits.

use distjob_core::JobId;
use futures::{StreamExt as _, stream};

use super::Server;
use crate::visit::reclaim;

/// Jobs that are looked into after a death, the oldest of the share: a bounded burst for the store.
const JOBS_MAX: usize = 4096;

/// Calls under way at once.
const CALLS_MAX: usize = 32;

impl Server<'_> {
    /// Frees what the departed held in the jobs of this executor's share.
    pub(super) fn settle_estates(&mut self) {
        let departed = std::mem::take(&mut self.departed);
        let jobs = self.board.oldest_of_share(JOBS_MAX);
        let store = self.executor.doorman.store.clone();
        let metrics = self.executor.metrics.clone();
        self.estates.spawn(async move {
            let free = async |(id, life)| -> Option<(JobId, u64)> {
                let mut ranges = 0;
                for dead in &departed {
                    match reclaim(&store, &metrics, &id, life, dead).await {
                        Ok(freed) => ranges += freed,
                        Err(error) => {
                            tracing::debug!(job.id = %id, %error, "failed to free the ranges of a dead executor");
                        }
                    }
                }
                (ranges > 0).then_some((id, ranges))
            };
            let freed = stream::iter(jobs).map(free).buffer_unordered(CALLS_MAX);
            freed.filter_map(async |job| job).collect().await
        });
    }
}
