//! The payloads of a job's failed tasks, kept so that they can be submitted again when the job is gone.
//!
//! ```text
//! read, write the result ── push … push ──► in:failed-<fresh>   a list of this attempt alone
//! uploaded;…;kept=failed-<fresh>            whose attempt it was that delivered
//! still whole? ── push ──► in:failed-<J>    where whoever has a tombstone finds it
//! drop, delete
//! ```
//!
//! Each attempt to deliver fills a [list](super::list) of its own. All of them expire, at the latest with the tombstone.
//!
//! The delivery of a job never waits for a store that has no room for a list.

use std::time::Duration;

use distjob_core::{
    JobData, Token,
    store::Slice,
    submission::Kept,
    watcher::{Loss, each_row},
};
use distjob_runtime::store::JobStore;

use super::{
    Pipeline, Setback, Trouble,
    list::{List, Refusal},
};

/// The list of one attempt to deliver a job.
#[derive(Debug)]
pub(super) struct FailedTasks {
    /// `None` when it is not to be, or cannot be.
    list: Option<List>,
}

impl FailedTasks {
    /// Where it is, when it holds anything.
    pub(super) fn kept(&self) -> Option<&Token> {
        let list = self.list.as_ref().filter(|list| list.sent() > 0);
        list.map(|list| &list.token)
    }

    /// Lets what was sent expire: nothing comes of the attempt. One try; by itself it expires later.
    pub(super) async fn forget(&self, store: &JobStore) {
        if let Some(list) = &self.list {
            list.forget(store).await;
        }
    }

    /// Takes the payloads of the failed tasks among these; whether there is enough for a push.
    fn take(&mut self, slice: &Slice) -> Result<bool, Loss> {
        let Some(list) = &mut self.list else {
            return Ok(false);
        };
        each_row(slice, |row| {
            if row.outcome.is_err() {
                list.add(row.task.to_vec());
            }
            Ok::<_, Loss>(())
        })?;
        Ok(list.is_due())
    }
}

impl Pipeline {
    /// An empty list, if failed tasks are kept.
    pub(super) fn failed_tasks(&self) -> FailedTasks {
        let fresh = || List::fresh(self.id.clone(), Kept::PREFIX, self.failed_ttl());
        FailedTasks {
            list: self.tools.config.watcher.keep_failed.then(fresh),
        }
    }

    /// Keeps the failed tasks among these.
    pub(super) async fn keep_failed(&self, failed: &mut FailedTasks, slice: &Slice) -> Result<(), Setback> {
        if failed.take(slice).map_err(Setback::Loss)? {
            self.push_failed(failed).await?;
        }
        Ok(())
    }

    /// Sends what is left to be sent.
    pub(super) async fn push_failed(&self, failed: &mut FailedTasks) -> Result<(), Trouble> {
        let Some(list) = &mut failed.list else {
            return Ok(());
        };
        if let Err(refusal) = self.send(list).await? {
            self.cannot_keep(&refusal);
            list.forget(self.store()).await;
            failed.list = None;
        }
        Ok(())
    }

    /// Begins the time of a list anew; whether it is whole.
    pub(super) async fn refresh_failed(&self, failed: &FailedTasks) -> Result<bool, Trouble> {
        match failed.list.as_ref().filter(|list| list.sent() > 0) {
            Some(list) => Ok(self.touch(list).await?.is_ok()),
            None => Ok(true),
        }
    }

    /// Says where the failed tasks of the job are kept that is now as `data` says, if they are there. May be repeated.
    pub(super) async fn point_to_failed(&self, data: &JobData) -> Result<(), Trouble> {
        let (Some(list), Some(failed)) = (&data.kept, data.failed) else {
            return Ok(());
        };
        // It was there before the job was said to be uploaded. That may be long ago, so its time begins anew.
        let ttl = self.failed_ttl();
        let whole = match self.push_patiently(&self.id, list, 0, ttl, &[]).await? {
            Ok(length) if length == failed => Ok(()),
            Ok(_) => Err(Refusal::Cut),
            Err(refusal) => Err(refusal),
        };
        if let Err(refusal) = whole {
            self.cannot_keep(&refusal);
            return Ok(());
        }
        let (pointer, kept) = (
            Token::of_failed(self.entry.life),
            Kept {
                queue: data.queue.clone(),
                list: list.clone(),
            },
        );
        let pushed = self
            .push_patiently(&self.id, &pointer, 0, ttl, &kept.items())
            .await?;
        if let Err(refusal) = pushed {
            self.cannot_keep(&refusal);
        }
        Ok(())
    }

    /// They live as long as the tombstone that tells of the job.
    fn failed_ttl(&self) -> Duration {
        self.tools.config.watcher.tombstone_ttl
    }

    fn cannot_keep(&self, refusal: &Refusal) {
        tracing::warn!(
            job.id = %self.id,
            queue = %self.entry.data.queue,
            %refusal,
            "the failed tasks cannot be kept for a retry, delivering without"
        );
    }
}
