//! One visit to a job: claim, and whatever must be done before a claim can succeed.

use std::sync::Arc;

use distjob_core::{
    Holder, JobEntry, JobId, Roster, TaskRange, Zxid,
    executor::{AfterClaim, Reason, after_claim, after_open},
    store::{Claim, ClaimRequest, Grant, Isolated},
};
use distjob_runtime::store::{Freeing, JobStore, StoreError};
use tokio::sync::watch;

use crate::metrics::ExecutorMetrics;

/// Rounds of one visit. Each opens the job, or frees the ranges of executors that died: more of them in a row mean
/// that others do the same, and a later visit will do.
const ROUNDS_MAX: usize = 8;

/// How a visit ends.
#[derive(Debug)]
pub(crate) enum Found {
    /// Something to run.
    Lease {
        /// What.
        grant: Grant,
        /// How many ranges of the dead were freed on the way: they wait in the same job.
        freed: u64,
    },
    /// A watcher should look, for this reason.
    Finish(Reason),
    /// Nothing, until the members change.
    Nothing,
    /// Only ranges that want to be run alone.
    Isolated,
    /// Nothing that we do not know of: the answer to an audit.
    Audited,
    /// Too much going on.
    Busy,
}

/// A visit to one job.
pub(crate) struct Visit {
    /// The store.
    pub(crate) store: JobStore,
    /// Who visits.
    pub(crate) holder: Holder,
    /// The executors.
    pub(crate) roster: watch::Receiver<Arc<Roster>>,
    /// What is counted.
    pub(crate) metrics: ExecutorMetrics,
    /// The job.
    pub(crate) id: JobId,
    /// As it was last seen.
    pub(crate) entry: JobEntry,
    /// How many tasks to claim; 0 for an audit.
    pub(crate) want: u64,
    /// How many bytes of payload.
    pub(crate) bytes_max: u64,
    /// From how many deaths on a range must be run alone.
    pub(crate) isolate: u32,
    /// Whether to take such a range.
    pub(crate) isolated: Isolated,
    /// What is in hand.
    pub(crate) held: Vec<TaskRange>,
}

impl Visit {
    /// Visits the job. Each step may be repeated and does no harm.
    ///
    /// # Errors
    /// When the store does not answer clearly: it may then lease us something that we do not know of.
    ///
    /// # Cancel safety
    /// As after an error.
    pub(crate) async fn run(&self) -> Result<Found, StoreError> {
        for _ in 0..ROUNDS_MAX {
            let claim = self.store.claim(&self.id, &self.request()).await?;
            self.metrics.claimed(word(&claim));
            let next = after_claim(claim, &self.roster.borrow());
            match next {
                AfterClaim::Run(grant, dead) => {
                    // What is in hand does not depend on it, and the next claim names them again.
                    let freed = self.reclaim(&dead).await.unwrap_or_else(|error| {
                        tracing::debug!(job.id = %self.id, %error, "failed to free the ranges of a dead executor");
                        0
                    });
                    return Ok(Found::Lease { grant, freed });
                }
                AfterClaim::Finish(why) => return Ok(Found::Finish(why)),
                AfterClaim::Wait => return Ok(Found::Nothing),
                AfterClaim::Isolate => return Ok(Found::Isolated),
                AfterClaim::Nothing => return Ok(Found::Audited),
                AfterClaim::Open => {
                    let data = &self.entry.data;
                    let open = self
                        .store
                        .open(&self.id, self.entry.life, data.count, &data.source)
                        .await?;
                    if let Some(why) = after_open(&open) {
                        return Ok(Found::Finish(why));
                    }
                }
                AfterClaim::Reclaim(dead) => {
                    self.reclaim(&dead).await?;
                }
            }
        }
        Ok(Found::Busy)
    }

    fn request(&self) -> ClaimRequest<'_> {
        ClaimRequest {
            life: self.entry.life,
            holder: &self.holder,
            want: self.want,
            bytes_max: self.bytes_max,
            isolate: self.isolate,
            isolated: self.isolated,
            held: &self.held,
        }
    }

    /// Frees what these held. Answers how many ranges that were.
    async fn reclaim(&self, dead: &[Holder]) -> Result<u64, StoreError> {
        let mut ranges = 0;
        for holder in dead {
            ranges += reclaim(&self.store, &self.metrics, &self.id, self.entry.life, holder).await?;
        }
        Ok(ranges)
    }
}

/// Frees what a dead executor held of a job. Answers how many ranges that were: none when another one was quicker.
///
/// # Errors
/// When the store does not answer clearly. It can be repeated.
pub(crate) async fn reclaim(
    store: &JobStore,
    metrics: &ExecutorMetrics,
    id: &JobId,
    life: Zxid,
    dead: &Holder,
) -> Result<u64, StoreError> {
    let ranges = store.free(id, life, dead, Freeing::Dead).await?;
    if ranges > 0 {
        metrics.ranges_reclaimed.inc_by(ranges);
        tracing::info!(job.id = %id, member = %dead.name, ranges, "freed the ranges of a dead executor");
    }
    Ok(ranges)
}

const fn word(claim: &Claim) -> &'static str {
    match claim {
        Claim::Absent => "absent",
        Claim::Gone => "gone",
        Claim::Stale => "stale",
        Claim::Broken => "broken",
        Claim::Complete => "complete",
        Claim::Audited => "audited",
        Claim::Isolated => "isolated",
        Claim::None { .. } => "none",
        Claim::Lease(_) => "lease",
    }
}
