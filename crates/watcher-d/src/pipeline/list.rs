//! Lists of payloads that a watcher fills in the store, each under a token that nobody else uses.
//!
//! What an attempt to deliver has begun nobody takes over, for he may have seen other outcomes if the store has lost its
//! last writes in between; and a watcher that was paused for long does no harm to the list of the one that delivered. A
//! list that nobody makes something of expires.

use std::time::Duration;

use distjob_core::{
    JobId, Token,
    store::{Push, PushRequest},
};
use distjob_runtime::{
    chance,
    store::{JobStore, StoreError},
};

use super::{Pipeline, Trouble};

/// So many bytes of payloads go to the store at once, unless one has more.
const BATCH_BYTES: usize = 256 * 1024;

/// So many payloads do.
const BATCH_TASKS: usize = 4000;

/// How long a list lives that is of no use.
const USELESS_TTL: Duration = Duration::from_secs(1);

/// A list that is being filled.
#[derive(Debug)]
pub(super) struct List {
    /// Whose list it is: that decides where it is in the store.
    pub(super) job: JobId,
    pub(super) token: Token,
    /// How long it lives from each push on.
    ttl: Duration,
    /// How many payloads are there.
    length: u64,
    /// Whether something was sent, be it that nobody knows what became of it.
    is_touched: bool,
    /// What comes next.
    batch: Vec<Vec<u8>>,
    batch_bytes: usize,
}

/// Why the store has not a list as it was left, and why repeating the call changes nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// It is not as long as it was: it has expired, or the store has lost writes.
    #[error("find a list in the store as it was left")]
    Cut,
    /// It does not take more.
    #[error(transparent)]
    Rejected(StoreError),
}

impl List {
    /// An empty list of `job`, under a fresh token that begins with `prefix`, a short word.
    pub(super) fn fresh(job: JobId, prefix: &str, ttl: Duration) -> Self {
        Self {
            job,
            token: Token::new(format!("{prefix}{}", chance::fresh_id()))
                .expect("a short word and hexadecimal digits make a name"),
            ttl,
            length: 0,
            is_touched: false,
            batch: Vec::new(),
            batch_bytes: 0,
        }
    }

    /// Puts a payload behind the others, here. Send it when it [is due](Self::is_due), or nothing follows.
    pub(super) fn add(&mut self, payload: Vec<u8>) {
        self.batch_bytes += payload.len();
        self.batch.push(payload);
    }

    /// Whether there is enough to be sent.
    pub(super) fn is_due(&self) -> bool {
        self.batch_bytes >= BATCH_BYTES || self.batch.len() >= BATCH_TASKS
    }

    /// How many payloads the store has.
    pub(super) const fn sent(&self) -> u64 {
        self.length
    }

    /// Lets what was sent expire: nothing comes of it. One try; by itself it expires later.
    pub(super) async fn forget(&self, store: &JobStore) {
        if !self.is_touched {
            return;
        }
        let request = PushRequest {
            source: &self.token,
            offset: 0,
            ttl_s: USELESS_TTL.as_secs(),
            tasks: &[],
        };
        if let Err(error) = store.push(&self.job, &request).await {
            tracing::debug!(job.id = %self.job, %error, "failed to remove a list that is of no use, it will expire");
        }
    }
}

impl Pipeline {
    /// Sends what was added and not sent. What is refused is forgotten here.
    pub(super) async fn send(&self, list: &mut List) -> Result<Result<(), Refusal>, Trouble> {
        if list.batch.is_empty() {
            return Ok(Ok(()));
        }
        let upto = list.length + list.batch.len() as u64;
        let batch = std::mem::take(&mut list.batch);
        list.batch_bytes = 0;
        list.is_touched = true;
        let (job, token) = (&list.job, &list.token);
        let length = self
            .push_patiently(job, token, list.length, list.ttl, &batch)
            .await?;
        Ok(match length {
            Ok(length) if length == upto => {
                list.length = upto;
                Ok(())
            }
            Ok(_) => Err(Refusal::Cut),
            Err(refusal) => Err(refusal),
        })
    }

    /// Lets the list, all of which was sent, live on from now; refused when it is not whole.
    pub(super) async fn touch(&self, list: &List) -> Result<Result<(), Refusal>, Trouble> {
        let length = self
            .push_patiently(&list.job, &list.token, 0, list.ttl, &[])
            .await?;
        Ok(match length {
            Ok(length) if length != list.length => Err(Refusal::Cut),
            length => length.map(|_| ()),
        })
    }

    /// The length of the list `token` of `job` with these behind the first `offset` of it.
    pub(super) async fn push_patiently(
        &self,
        job: &JobId,
        token: &Token,
        offset: u64,
        ttl: Duration,
        tasks: &[Vec<u8>],
    ) -> Result<Result<u64, Refusal>, Trouble> {
        let request = PushRequest {
            source: token,
            offset,
            ttl_s: ttl.as_secs().max(1),
            tasks,
        };
        match self.patiently(|| self.store().push(job, &request)).await {
            Ok(Push::Ok(length)) => Ok(Ok(length)),
            Ok(Push::Gap(_) | Push::Opened) => Ok(Err(Refusal::Cut)),
            Err(Trouble::Store(error @ StoreError::Rejected(_))) => Ok(Err(Refusal::Rejected(error))),
            Err(trouble) => Err(trouble),
        }
    }
}
