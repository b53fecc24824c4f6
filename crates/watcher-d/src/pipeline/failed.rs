//! The payloads of a job's failed tasks, kept so that they can be submitted again when the job is gone.
//!
//! They go to a list of their own in the store, in their order, while the result is written, and it lives as long as the
//! job's tombstone. Whoever uses it compares its length with the number of failed tasks that the tombstone names: a list
//! that is not whole is worth nothing. So the delivery of a job never waits for a store that has no room for it.
//!
//! One attempt to deliver fills the list from its beginning to its end. What an attempt has left that was not finished is
//! removed first, although it would nearly always be the beginning of the same list: when the store has lost its last
//! writes in between, tasks may have been run again, and may have come to something else.

use std::{ops::ControlFlow, time::Duration};

use distjob_core::{
    JobEntry, Token,
    store::{Push, PushRequest, Slice},
    submission::FailedList,
    watcher::{Loss, each_row},
};
use distjob_runtime::store::StoreError;
use tokio::time::sleep;

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
    token: Token,
    list: List,
    /// What stands in front of the first payload.
    head: Option<Vec<u8>>,
    /// What comes next.
    batch: Vec<Vec<u8>>,
    batch_bytes: usize,
}

/// How far it is in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List {
    /// Nothing was asked yet: jobs in which nothing fails need no call.
    Untouched,
    /// It is so long, all of this attempt.
    Has(u64),
    /// It is not to be, or cannot be.
    None,
}

impl FailedTasks {
    /// That of a job; nothing is kept unless it `is_wanted`.
    pub(super) fn new(entry: &JobEntry, is_wanted: bool) -> Self {
        Self {
            token: FailedList::of(entry.life).token,
            list: if is_wanted { List::Untouched } else { List::None },
            head: Some(FailedList::head(&entry.data.queue)),
            batch: Vec::new(),
            batch_bytes: 0,
        }
    }

    /// Takes the payloads of the failed tasks among these; whether there is enough for a push.
    fn take(&mut self, slice: &Slice) -> Result<bool, Loss> {
        each_row(slice, |row| {
            if row.outcome.is_err() {
                self.batch.extend(self.head.take());
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
        if failed.list != List::None && failed.take(slice).map_err(Setback::Loss)? {
            self.push_failed(failed).await?;
        }
        Ok(())
    }

    /// Sends what is left to be sent.
    pub(super) async fn push_failed(&self, failed: &mut FailedTasks) -> Result<(), Trouble> {
        if failed.batch.is_empty() {
            return Ok(());
        }
        let length = match failed.list {
            List::Untouched => self.remove_leftovers(&failed.token).await?,
            List::Has(length) => Some(length),
            List::None => None,
        };
        let upto = match length {
            Some(offset) => self.append(&failed.token, offset, &failed.batch).await?,
            None => None,
        };
        failed.list = upto.map_or(List::None, List::Has);
        if upto.is_none() {
            tracing::warn!(
                job.id = %self.id,
                queue = %self.entry.data.queue,
                "the failed tasks cannot be kept for a retry, delivering without"
            );
            self.forget_failed(failed).await;
        }
        failed.batch.clear();
        failed.batch_bytes = 0;
        Ok(())
    }

    /// Lets what was sent expire: the attempt is over. One try; by itself it expires later.
    pub(super) async fn forget_failed(&self, failed: &FailedTasks) {
        if failed.list != List::Untouched
            && let Err(error) = self.push(&failed.token, 0, USELESS_TTL_S, &[]).await
        {
            tracing::debug!(job.id = %self.id, %error, "failed to remove a list of failed tasks, it will expire");
        }
    }

    /// Makes sure that there is no list; its length then is 0. `None` when that cannot be.
    async fn remove_leftovers(&self, token: &Token) -> Result<Option<u64>, Trouble> {
        loop {
            match self.push_patiently(token, 0, USELESS_TTL_S, &[]).await? {
                ControlFlow::Continue(0) => return Ok(Some(0)),
                ControlFlow::Continue(_) => {}
                ControlFlow::Break(()) => return Ok(None),
            }
            let expired = sleep(Duration::from_secs(USELESS_TTL_S));
            if self.tools.abandon.run_until_cancelled(expired).await.is_none() {
                return Err(Trouble::Abandoned);
            }
        }
    }

    /// The length of the list with these behind the first `offset` of it; `None` when it has not that length.
    async fn append(&self, token: &Token, offset: u64, batch: &[Vec<u8>]) -> Result<Option<u64>, Trouble> {
        let upto = offset + batch.len() as u64;
        let ttl_s = self.tombstone_ttl_s();
        match self.push_patiently(token, offset, ttl_s, batch).await? {
            ControlFlow::Continue(length) if length == upto => Ok(Some(upto)),
            _ => Ok(None),
        }
    }

    /// Breaks when the store does not take it, and repeating it would change nothing.
    async fn push_patiently(
        &self,
        token: &Token,
        offset: u64,
        ttl_s: u64,
        tasks: &[Vec<u8>],
    ) -> Result<ControlFlow<(), u64>, Trouble> {
        match self.patiently(|| self.push(token, offset, ttl_s, tasks)).await {
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
