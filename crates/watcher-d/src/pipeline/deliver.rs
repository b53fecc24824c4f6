//! From what the store has to a result that everybody sees.

use std::time::Duration;

use distjob_core::{
    JobData, JobEntry, Token,
    store::Read,
    watcher::{FirstStep, Loss, Progress},
};
use distjob_runtime::{
    chance, drill,
    zk::{Lock, Written},
};
use tokio::time::Instant;

use super::{Ended, Pipeline, Setback, Trouble, failed::FailedTasks};
use crate::sink::{Collected, Collecting, Manifest, Tally};

/// What a job came to, before anybody sees it.
pub(super) struct Collection {
    result: Box<dyn Collected>,
    failed: FailedTasks,
}

impl Pipeline {
    /// The job's whole result, durable, and not visible yet; and its failed tasks.
    pub(super) async fn collect(&self) -> Result<Collection, Setback> {
        let collecting = self.tools.sink.collect(&self.id, &self.entry.data.queue);
        let mut failed = FailedTasks::new(self.tools.config.watcher.keep_failed);
        let collected = match self.feed(&*collecting, &mut failed).await {
            Ok(()) => collecting.finish().await.map_err(Setback::from),
            Err(setback) => {
                collecting.discard().await;
                Err(setback)
            }
        };
        match collected {
            Ok(result) => Ok(Collection { result, failed }),
            Err(setback) => {
                self.forget_failed(&failed).await;
                Err(setback)
            }
        }
    }

    /// Reads the job from its first task to its last; the next slice while the one before is written.
    async fn feed(&self, collecting: &dyn Collecting, failed: &mut FailedTasks) -> Result<(), Setback> {
        let mut progress = Progress::new(self.entry.data.count);
        while !progress.is_complete() {
            let slice = match self.read(progress.next()).await? {
                Read::Slice(slice) => slice,
                Read::Hole(index) => return Err(Setback::Loss(Loss::Hole(index))),
                Read::Short => return Err(Setback::Loss(Loss::Short)),
                Read::Gone => return Err(Setback::Loss(Loss::Missing(0))),
            };
            progress.advance(&slice).map_err(Setback::Loss)?;
            self.keep_failed(failed, &slice).await?;
            let pushed = self
                .tools
                .abandon
                .run_until_cancelled(collecting.push(slice))
                .await;
            match pushed {
                Some(true) => {}
                // The writer has given up, and `finish` says why.
                Some(false) => return Ok(()),
                None => return Err(Trouble::Abandoned.into()),
            }
        }
        Ok(self.push_failed(failed).await?)
    }

    /// From a result on the disk to the end of the job.
    pub(super) async fn hand_over(
        &self,
        lock: &Lock,
        collection: Collection,
        began: Instant,
    ) -> Result<Ended, Trouble> {
        let Collection { result, failed } = collection;
        let tally = result.tally();
        let uploaded = match self.publish(lock, result, failed.kept()).await {
            Ok(Some(uploaded)) => uploaded,
            outcome => {
                // When the ledger was not clear, somebody may be told of the list.
                if matches!(outcome, Ok(_) | Err(Trouble::Sink(_))) {
                    self.forget_failed(&failed).await;
                }
                return outcome.map(|_| Ended::Settled);
            }
        };
        drill::point("uploaded");
        self.tell_of_delivery(&uploaded.data, tally, began.elapsed());
        if FirstStep::of(&uploaded.data) == FirstStep::CleanUp {
            if uploaded.data.count == 0 {
                // Nobody has asked the store anything about it yet.
                self.check_ours().await?;
            }
            self.drop_keys(&uploaded.data).await?;
        }
        self.delete(lock, &uploaded).await
    }

    /// Makes the result visible and the job uploaded. The job as it is then, or `None` when it is not this watcher's any
    /// more.
    async fn publish(
        &self,
        lock: &Lock,
        result: Box<dyn Collected>,
        kept: Option<&Token>,
    ) -> Result<Option<JobEntry>, Trouble> {
        let ledger = &self.tools.ledger;
        // A paused process may have lost its lock long ago, and the job may be somebody else's by now.
        if !ledger.holds(lock).await? {
            tracing::info!(job.id = %self.id, "the lock was lost before the result was published");
            return Ok(None);
        }
        drill::point("before-rename");
        let data = &self.entry.data;
        let tally = result.tally();
        let conclusion = self
            .tools
            .config
            .policy(&data.queue)
            .conclude(data.count, tally.err);
        let now_ms = u64::try_from(chance::since_1970().as_millis()).unwrap_or(u64::MAX);
        let manifest = Manifest::new(&self.id, &self.entry, tally, conclusion, now_ms);
        result.publish(manifest).await?;
        let uploaded = data.uploaded(tally.err, conclusion, kept.cloned());
        let written = ledger.set_locked(lock, &self.entry, &uploaded).await?;
        Ok((written == Written::Yes).then(|| JobEntry {
            data: uploaded,
            version: self.entry.version.wrapping_add(1),
            ..self.entry.clone()
        }))
    }

    fn tell_of_delivery(&self, uploaded: &JobData, tally: Tally, took: Duration) {
        let JobData {
            queue, conclusion, ..
        } = uploaded;
        self.tools.metrics.delivered(tally, took);
        if let Some(conclusion) = conclusion {
            self.tools.metrics.concluded(queue, *conclusion);
        }
        tracing::info!(
            job.id = %self.id,
            %queue,
            tasks = tally.ok + tally.err,
            failed = tally.err,
            conclusion = conclusion.map(tracing::field::display),
            duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "delivered"
        );
    }
}
