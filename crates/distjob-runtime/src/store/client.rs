//! The client: one method a script, what a call takes its connection from, and what its failure means for that.

use std::{
    hash::{DefaultHasher, Hash, Hasher as _},
    sync::Arc,
    time::Duration,
};

use distjob_core::{
    Holder, JobData, JobId, KeyScheme, QueueName, Source, Token, Zxid,
    rate::{Limit, Rate, Tokens},
    store::{
        Claim, ClaimRequest, Commit, CommitRequest, DropReply, Inspection, Open, Push, PushRequest, Read,
        ReadRequest, ReleaseRequest, Status,
    },
    trouble::SinkTrouble,
};
use redis::RedisError;
use tokio::sync::watch;

use super::{
    ConnectionState, Dial, Freeing, Line, MetaPage, StoreCounts, StoreError, StoreSettings,
    connection::{Connections, Generation},
    server::RedisDial,
};

/// The job store. Cheap to clone: all clones share the connections.
///
/// Nothing is connected before the first call. See [the module](super) for errors, cancellation and order.
#[derive(Clone)]
pub struct JobStore {
    shared: Arc<Shared>,
}

struct Shared {
    keys: KeyScheme,
    connections: Connections,
    counts: StoreCounts,
}

/// How full the store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Bytes in use.
    pub used: u64,
    /// Bytes that may be used, when there is a limit.
    pub max: Option<u64>,
}

impl JobStore {
    /// A client of the store; does not connect yet.
    ///
    /// # Errors
    /// When the URL makes no sense.
    pub fn new(settings: &StoreSettings) -> Result<Self, RedisError> {
        let dial = Arc::new(RedisDial::new(settings)?);
        Ok(Self::over(settings.keys.clone(), dial, settings.connections))
    }

    /// A client of whatever `dial` reaches, by so many connections, at least one.
    #[must_use]
    pub fn over(keys: KeyScheme, dial: Arc<dyn Dial>, connections: usize) -> Self {
        let shared = Shared {
            keys,
            connections: Connections::new(dial, connections),
            counts: StoreCounts::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Where the keys are.
    #[must_use]
    pub fn keys(&self) -> &KeyScheme {
        &self.shared.keys
    }

    /// How many calls failed.
    #[must_use]
    pub fn counts(&self) -> &StoreCounts {
        &self.shared.counts
    }

    /// Follows the connection. When the generation grows, replies may have been lost: audit what is held. A loss is
    /// noticed by the next call, not before.
    #[must_use]
    pub fn connection_state(&self) -> watch::Receiver<ConnectionState> {
        self.shared.connections.watch()
    }

    /// Appends tasks to the list of one submission attempt, or keeps it alive.
    ///
    /// # Errors
    /// See [the module](super). Out of memory is [told apart](StoreError::is_out_of_memory).
    pub async fn push(&self, id: &JobId, request: &PushRequest<'_>) -> Result<Push, StoreError> {
        let call = self.begin(Some(id)).await?;
        let result = call.line().push(id, request).await;
        call.end(result)
    }

    /// Makes the source list of exactly `count` tasks (at least 1) the job of `life`.
    ///
    /// # Errors
    /// See [the module](super); rejected when `count` is 0.
    pub async fn open(
        &self,
        id: &JobId,
        life: Zxid,
        count: u64,
        source: &Source,
    ) -> Result<Open, StoreError> {
        let call = self.begin(Some(id)).await?;
        let result = call.line().open(id, life, count, source).await;
        call.end(result)
    }

    /// Leases tasks. One holder has at most one claim under way for a job at a time.
    ///
    /// # Errors
    /// See [the module](super). After an unclear one claim again: what was granted comes back.
    pub async fn claim(&self, id: &JobId, request: &ClaimRequest<'_>) -> Result<Claim, StoreError> {
        let call = self.begin(Some(id)).await?;
        let result = call.line().claim(id, request).await;
        call.end(result)
    }

    /// Records the outcomes of a run of tasks that one lease of the holder covers.
    ///
    /// # Errors
    /// See [the module](super); rejected when there are no outcomes. After an unclear one commit again: it counts once.
    pub async fn commit(&self, id: &JobId, request: &CommitRequest<'_>) -> Result<Commit, StoreError> {
        let call = self.begin(Some(id)).await?;
        let result = call.line().commit(id, request).await;
        call.end(result)
    }

    /// Gives back a run of tasks that one lease of the holder covers; no death is counted. What is in hand must not
    /// name these tasks any more when this is called: the store may lease them to the same holder again at once.
    ///
    /// # Errors
    /// See [the module](super). After an unclear one release again: it counts once, unless the tasks were leased to the
    /// same holder again meanwhile, which then finds them given back once more, and its commit refused.
    pub async fn release(&self, id: &JobId, request: &ReleaseRequest<'_>) -> Result<Commit, StoreError> {
        let call = self.begin(Some(id)).await?;
        let result = call.line().release(id, request).await;
        call.end(result)
    }

    /// Gives back all ranges of a holder; how many that were. 0 also when the job is not open in this life.
    ///
    /// # Errors
    /// See [the module](super).
    pub async fn free(
        &self,
        id: &JobId,
        life: Zxid,
        holder: &Holder,
        why: Freeing,
    ) -> Result<u64, StoreError> {
        let call = self.begin(Some(id)).await?;
        let result = call.line().free(id, life, holder, why).await;
        call.end(result)
    }

    /// Reads the next tasks with their outcomes.
    ///
    /// # Errors
    /// See [the module](super).
    pub async fn read(&self, id: &JobId, request: ReadRequest) -> Result<Read, StoreError> {
        let call = self.begin(Some(id)).await?;
        let result = call.line().read(id, request).await;
        call.end(result)
    }

    /// What a watcher decides by. `count` is the number of tasks as the ledger has it.
    ///
    /// # Errors
    /// See [the module](super).
    pub async fn status(
        &self,
        id: &JobId,
        life: Zxid,
        count: u64,
        source: &Source,
    ) -> Result<Status, StoreError> {
        let call = self.begin(Some(id)).await?;
        let result = call.line().status(id, life, count, source).await;
        call.end(result)
    }

    /// Leaves nothing of the job but a tombstone that lives for `ttl_s` seconds, at least 1, and tells what the job's znode
    /// said last, and how it ended by that: as `last` has it, or else as a tombstone that stands there already does. Data
    /// that do not tell how the job ended are as good as none. A note of a sink in trouble goes, too, if nothing comes in
    /// between.
    ///
    /// # Errors
    /// See [the module](super).
    pub async fn drop_job(
        &self,
        id: &JobId,
        life: Zxid,
        source: &Source,
        ttl_s: u64,
        last: Option<&JobData>,
    ) -> Result<DropReply, StoreError> {
        let call = self.begin(Some(id)).await?;
        let result = call.line().drop_job(id, life, source, ttl_s, last).await;
        call.end(result)
    }

    /// The next tasks of a list that was pushed under `token` and not opened: from index `from` on, at most `most`. There
    /// are fewer where they are [large](distjob_core::store::STAGED_BYTES_MAX), and none only at the end of
    /// the list, or when it expired.
    ///
    /// # Errors
    /// See [the module](super).
    pub async fn staged(
        &self,
        id: &JobId,
        token: &Token,
        from: u64,
        most: u64,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let call = self.begin(Some(id)).await?;
        let result = call.line().staged(id, token, from, most).await;
        call.end(result)
    }

    /// Everything that is known of a job, but for payloads and outcomes.
    ///
    /// # Errors
    /// See [the module](super).
    pub async fn inspect(&self, id: &JobId, source: &Source) -> Result<Inspection, StoreError> {
        let call = self.begin(Some(id)).await?;
        let result = call.line().inspect(id, source).await;
        call.end(result)
    }

    /// Notes which sink does not take the result of a job, for people; for `ttl_s` seconds, at least one.
    ///
    /// # Errors
    /// See [the module](super).
    pub async fn set_trouble(&self, id: &JobId, trouble: &SinkTrouble, ttl_s: u64) -> Result<(), StoreError> {
        let call = self.begin(Some(id)).await?;
        let result = call.line().set_trouble(id, trouble, ttl_s).await;
        call.end(result)
    }

    /// Forgets that.
    ///
    /// # Errors
    /// See [the module](super).
    pub async fn clear_trouble(&self, id: &JobId) -> Result<(), StoreError> {
        let call = self.begin(Some(id)).await?;
        let result = call.line().clear_trouble(id).await;
        call.end(result)
    }

    /// The sink that does not take the result of a job, if somebody noted that lately.
    ///
    /// # Errors
    /// See [the module](super).
    pub async fn trouble(&self, id: &JobId) -> Result<Option<SinkTrouble>, StoreError> {
        let call = self.begin(Some(id)).await?;
        let result = call.line().trouble(id).await;
        call.end(result)
    }

    /// Asks whether so many tasks of a queue may begin, and takes as many tokens as there are of its bucket, which all
    /// executors share. `burst` is how many the bucket holds, 0 for the [usual number](Rate::usual_burst). Without a limit
    /// all are granted, and the store is not asked.
    ///
    /// # Errors
    /// See [the module](super). After an unclear one the tokens may be gone: asked again, it takes others.
    pub async fn take_tokens(
        &self,
        queue: &QueueName,
        rate: Rate,
        burst: u32,
        want: u32,
    ) -> Result<Tokens, StoreError> {
        let Some(limit) = Limit::new(rate, burst) else {
            return Ok(Tokens {
                granted: want,
                wait: Duration::ZERO,
            });
        };
        let call = self.begin(None).await?;
        let result = call.line().take_tokens(queue, limit, want).await;
        call.end(result)
    }

    /// The ledger mark, when there is one: the creation zxid of the directory of jobs to which the store belongs.
    /// Nobody may declare a job lost unless it matches: an empty or foreign store has lost nothing, it is the wrong
    /// one.
    ///
    /// # Errors
    /// See [the module](super); [`StoreError::Reply`] when what stands there is no zxid.
    pub async fn ledger_mark(&self) -> Result<Option<Zxid>, StoreError> {
        let call = self.begin(None).await?;
        let result = call.line().ledger_mark().await;
        call.end(result)
    }

    /// Marks the store unless it is marked, and returns the mark that stands there then. May be repeated.
    ///
    /// # Errors
    /// Like [`JobStore::ledger_mark`].
    pub async fn mark_ledger(&self, ledger: Zxid) -> Result<Zxid, StoreError> {
        let call = self.begin(None).await?;
        let result = call.line().mark_ledger(ledger).await;
        call.end(result)
    }

    /// Marks the store whatever it was marked with: an operator vouches that it belongs to this ledger and that what
    /// it lacks is lost.
    ///
    /// # Errors
    /// See [the module](super).
    pub async fn accept_ledger(&self, ledger: Zxid) -> Result<(), StoreError> {
        let call = self.begin(None).await?;
        let result = call.line().accept_ledger(ledger).await;
        call.end(result)
    }

    /// A page of the jobs that the store knows, from `cursor` on: 0, then [`MetaPage::next`].
    ///
    /// A job that stands there during the whole walk is seen at least once, possibly twice. Keys that look like a
    /// job's and are none are left out.
    ///
    /// # Errors
    /// See [the module](super).
    pub async fn scan(&self, cursor: u64) -> Result<MetaPage, StoreError> {
        let call = self.begin(None).await?;
        let result = call.line().scan(cursor).await;
        call.end(result)
    }

    /// Whether the store answers.
    ///
    /// # Errors
    /// See [the module](super).
    pub async fn ping(&self) -> Result<(), StoreError> {
        let call = self.begin(None).await?;
        let result = call.line().ping().await;
        call.end(result)
    }

    /// How full the store is.
    ///
    /// # Errors
    /// See [the module](super).
    pub async fn memory(&self) -> Result<Memory, StoreError> {
        let call = self.begin(None).await?;
        let result = call.line().memory().await;
        call.end(result)
    }

    /// Finds the connection for a call about `id`, or about no job.
    async fn begin(&self, id: Option<&JobId>) -> Result<Call<'_>, StoreError> {
        let hash = id.map_or(0, |id| {
            let mut hasher = DefaultHasher::new();
            id.hash(&mut hasher);
            hasher.finish()
        });
        let shared = &*self.shared;
        match shared.connections.current().await {
            Ok(generation) => Ok(Call {
                shared,
                generation,
                hash,
            }),
            Err(error) => {
                let error = StoreError::Unavailable(error);
                shared.counts.count(&error);
                Err(error)
            }
        }
    }
}

/// A call that has its connection.
struct Call<'a> {
    shared: &'a Shared,
    generation: Arc<Generation>,
    hash: u64,
}

impl Call<'_> {
    fn line(&self) -> &dyn Line {
        self.generation.line(self.hash)
    }

    /// Lets the connections know how it went.
    fn end<T>(self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        let error = result.as_ref().err();
        if let Some(error) = error {
            self.shared.counts.count(error);
        }
        self.shared
            .connections
            .used(&self.generation, self.hash, error.and_then(StoreError::cause));
        result
    }
}

impl std::fmt::Debug for JobStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobStore")
            .field("keys", &self.shared.keys)
            .field("counts", &self.shared.counts)
            .finish_non_exhaustive()
    }
}
