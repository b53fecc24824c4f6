//! The payloads of a job's failed tasks, kept so that they can be submitted again when the job is gone.
//!
//! ```text
//! read, write the result ── push … push ──► in:failed-<fresh>   a list of this attempt alone
//! uploaded;…;kept=failed-<fresh>            whose attempt it was that delivered
//! still whole? ── push ──► in:failed-<J>    where whoever has a tombstone finds it
//! drop, delete
//! ```
//!
//! Each attempt to deliver fills a list of its own. So nobody takes over what somebody else has begun, who may have seen
//! other outcomes if the store has lost its last writes in between; and a watcher that was paused for long does no harm
//! to the list of the one that delivered. All of them expire, at the latest with the tombstone.
//!
//! The delivery of a job never waits for a store that has no room for a list.

use std::ops::ControlFlow;

use distjob_core::{
    JobData, Token,
    store::{Push, PushRequest, Slice},
    submission::Kept,
    watcher::{Loss, each_row},
};
use distjob_runtime::{chance, store::StoreError};

use super::{Pipeline, Setback, Trouble};

/// So many bytes of payloads go to the store at once, unless one has more.
const BATCH_BYTES: usize = 256 * 1024;

/// So many payloads do.
const BATCH_TASKS: usize = 4000;

/// In how many seconds a list expires that is of no use.
const USELESS_TTL_S: u64 = 1;

/// The list of one attempt to deliver a job.
#[derive(Debug)]
pub(super) struct FailedTasks {
    /// Where; `None` when it is not to be, or cannot be.
    list: Option<Token>,
    /// How many are there.
    length: u64,
    /// What comes next.
    batch: Vec<Vec<u8>>,
    batch_bytes: usize,
}

impl FailedTasks {
    /// An empty list; nothing is kept unless it `is_wanted`.
    pub(super) fn new(is_wanted: bool) -> Self {
        let fresh = || Token::new(format!("{}{}", Kept::PREFIX, chance::fresh_id())).ok();
        Self {
            list: is_wanted.then(fresh).flatten(),
            length: 0,
            batch: Vec::new(),
            batch_bytes: 0,
        }
    }

    /// Where it is, when it holds anything.
    pub(super) fn kept(&self) -> Option<&Token> {
        self.list.as_ref().filter(|_| self.length > 0)
    }

    /// Takes the payloads of the failed tasks among these; whether there is enough for a push.
    fn take(&mut self, slice: &Slice) -> Result<bool, Loss> {
        each_row(slice, |row| {
            if row.outcome.is_err() {
                self.batch_bytes += row.task.len();
                self.batch.push(row.task.to_vec());
            }
            Ok::<_, Loss>(())
        })?;
        Ok(self.batch_bytes >= BATCH_BYTES || self.batch.len() >= BATCH_TASKS)
    }
}

impl Pipeline {
    /// Keeps the failed tasks among these.
    pub(super) async fn keep_failed(&self, failed: &mut FailedTasks, slice: &Slice) -> Result<(), Setback> {
        if failed.list.is_some() && failed.take(slice).map_err(Setback::Loss)? {
            self.push_failed(failed).await?;
        }
        Ok(())
    }

    /// Sends what is left to be sent.
    pub(super) async fn push_failed(&self, failed: &mut FailedTasks) -> Result<(), Trouble> {
        let Some(list) = failed.list.as_ref().filter(|_| !failed.batch.is_empty()) else {
            return Ok(());
        };
        let upto = failed.length + failed.batch.len() as u64;
        let length = self.push_patiently(list, failed.length, &failed.batch).await?;
        if length == ControlFlow::Continue(upto) {
            failed.length = upto;
        } else {
            self.cannot_keep();
            self.forget_failed(failed).await;
            failed.list = None;
        }
        failed.batch.clear();
        failed.batch_bytes = 0;
        Ok(())
    }

    /// Lets what was sent expire: nothing comes of the attempt. One try; by itself it expires later.
    pub(super) async fn forget_failed(&self, failed: &FailedTasks) {
        let is_touched = failed.length > 0 || !failed.batch.is_empty();
        if let Some(list) = failed.list.as_ref().filter(|_| is_touched)
            && let Err(error) = self.push(list, 0, USELESS_TTL_S, &[]).await
        {
            tracing::debug!(job.id = %self.id, %error, "failed to remove a list of failed tasks, it will expire");
        }
    }

    /// Says where the failed tasks of the job are kept that is now as `data` says, if they are there. May be repeated.
    pub(super) async fn point_to_failed(&self, data: &JobData) -> Result<(), Trouble> {
        let (Some(list), Some(failed)) = (&data.kept, data.failed) else {
            return Ok(());
        };
        // It was there before the job was said to be uploaded. That may be long ago, so its time begins anew.
        let length = self.push_patiently(list, 0, &[]).await?;
        let kept = Kept {
            queue: data.queue.clone(),
            list: list.clone(),
        };
        let pointer = Token::of_failed(self.entry.life);
        if length != ControlFlow::Continue(failed)
            || self.push_patiently(&pointer, 0, &kept.items()).await?.is_break()
        {
            self.cannot_keep();
        }
        Ok(())
    }

    fn cannot_keep(&self) {
        tracing::warn!(
            job.id = %self.id,
            queue = %self.entry.data.queue,
            "the failed tasks cannot be kept for a retry, delivering without"
        );
    }

    /// The length of the list with these behind the first `offset` of it. Breaks when the store does not take them, and
    /// repeating it would change nothing.
    async fn push_patiently(
        &self,
        list: &Token,
        offset: u64,
        tasks: &[Vec<u8>],
    ) -> Result<ControlFlow<(), u64>, Trouble> {
        let ttl_s = self.tombstone_ttl_s();
        match self.patiently(|| self.push(list, offset, ttl_s, tasks)).await {
            Ok(Push::Ok(length)) => Ok(ControlFlow::Continue(length)),
            Ok(Push::Gap(_) | Push::Opened) => Ok(ControlFlow::Break(())),
            Err(Trouble::Store(error @ StoreError::Rejected(_))) => {
                tracing::debug!(job.id = %self.id, %error, "the store does not take failed tasks");
                Ok(ControlFlow::Break(()))
            }
            Err(trouble) => Err(trouble),
        }
    }

    async fn push(
        &self,
        source: &Token,
        offset: u64,
        ttl_s: u64,
        tasks: &[Vec<u8>],
    ) -> Result<Push, StoreError> {
        let request = PushRequest {
            source,
            offset,
            ttl_s,
            tasks,
        };
        self.store().push(&self.id, &request).await
    }
}
