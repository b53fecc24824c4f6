//! What is put aside in the store while a result is collected, and of use only when it is delivered.
//!
//! It is begun with the collection, takes every slice, and goes with the result: while that waits in the spool its time to
//! live is refreshed at each attempt, and when nothing comes of it, it is forgotten.

use distjob_core::store::Slice;
use distjob_runtime::store::JobStore;

use super::{
    Harvest, Pipeline, Setback, Trouble,
    failed::FailedTasks,
    follow::{FollowUps, Scope},
};

/// What belongs to one collected result.
#[derive(Debug)]
pub(super) struct Aside {
    /// The payloads of failed tasks.
    pub(super) failed: FailedTasks,
    /// The tasks of the jobs that follow.
    pub(super) follow_ups: FollowUps,
}

impl Pipeline {
    /// Nothing yet.
    pub(super) fn begin_aside(&self) -> Aside {
        Aside {
            failed: self.failed_tasks(),
            follow_ups: self.follow_ups(Scope::Job),
        }
    }

    /// Takes what is to be put aside of the next slice.
    pub(super) async fn put_aside(&self, aside: &mut Aside, slice: &Slice) -> Result<(), Setback> {
        self.keep_failed(&mut aside.failed, slice).await?;
        self.stage(&mut aside.follow_ups, slice).await
    }

    /// Brings all of it to the store.
    pub(super) async fn finish_aside(&self, aside: &mut Aside) -> Result<(), Trouble> {
        self.push_failed(&mut aside.failed).await?;
        self.stage_rest(&mut aside.follow_ups).await
    }

    /// Begins the time anew for which the store has it; whether it has. If not, the job is collected again.
    pub(super) async fn refresh_aside(&self, aside: &Aside) -> Result<bool, Trouble> {
        Ok(self.refresh_failed(&aside.failed).await? && self.keep_staged(&aside.follow_ups).await?)
    }
}

impl Aside {
    /// Lets it expire: nothing comes of the result. One try; by itself it expires later.
    pub(super) async fn forget(&self, store: &JobStore) {
        self.failed.forget(store).await;
        self.follow_ups.forget(store).await;
    }
}

/// The end of what was put aside for a result that nothing comes of, outside of any pipeline.
#[derive(Debug)]
pub(crate) struct Forgetting {
    store: JobStore,
    harvest: Harvest,
}

impl Forgetting {
    /// Lets go of a result. Its file goes with this at the latest.
    pub(crate) const fn new(store: JobStore, harvest: Harvest) -> Self {
        Self { store, harvest }
    }

    /// Lets the lists expire, unless the ledger may name them. One try; by themselves they expire later.
    pub(crate) async fn run(self) {
        if !self.harvest.is_told {
            self.harvest.aside.forget(&self.store).await;
        }
    }
}
