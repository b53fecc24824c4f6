//! One job, from its lock to its end.
//!
//! ```text
//! lock ── prcd, zpd ► status ► read, check, spool ► (zpd) ► still ours? ► every sink ► uploaded ─┐
//!   │                   │         └ a part is lost: lost        └ one fails: later, from the spool
//!   │                   └ unfinished: rest, then subm                                            │
//!   ├──── uploaded ──────────────────────────────────────────────────────────────────────────────┼► drop ► delete
//!   └──── cncl ► open ───────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Every step may be the last one that this process takes: whoever comes next sees the job's state and resumes. What is
//! decided at each step is in [`distjob_core::watcher`]. What was collected stays in the spool when a later step fails, and
//! goes from one attempt to the next as a [`Harvest`]. A [light] job is collected while the lock is asked for. The [points](drill) that tests can name are, in order: `locked`,
//! `collected`, `zipped`, `before-rename`, `manifest-written`, `manifest`, `after-rename`, `delivered`, `noted`, `uploaded`,
//! `follow-up-opened`, `settled`, `join-staged`, `joined`, `group-emptied`, `dropped`, `before-delete`.

mod aside;
mod bulky;
mod deliver;
mod failed;
mod follow;
mod group;
mod harvest;
mod light;
mod list;

use std::{collections::BTreeMap, fmt, ops::ControlFlow, sync::Arc, time::Duration};

use distjob_core::{
    JobData, JobEntry, JobId, JobState, MemberName, SinkName,
    store::{DropReply, Read, ReadRequest, Status},
    watcher::{FirstStep, Loss, Verdict, return_delay},
};
use distjob_runtime::{
    drill,
    member::Doorman,
    store::{JobStore, StoreError, retrying},
    zk::{Ledger, Lock, Locking, Written, ZkError},
};
use futures::future::join;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    metrics::WatcherMetrics,
    sink::{Guarded, SinkError},
    slots::{Slot, Slots},
    spool::{CollectError, Spool},
};

pub(crate) use self::{
    aside::Forgetting,
    bulky::Bulky,
    harvest::{Harvest, InSpool},
};

/// How long Redis may fail to answer until the lock is given back.
const STORE_PATIENCE: Duration = Duration::from_secs(20);

/// What became of a job.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It is gone, and its lock with it.
    Deleted,
    /// There is nothing more to do, or nothing for this watcher, until the job or the members change.
    Settled,
    /// It is unfinished: after this time, when nothing has changed, it goes back to the executors.
    Rest(Duration),
}

/// Why a job could not be brought further.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// Redis did not answer, or not clearly.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The result could not be put together.
    #[error(transparent)]
    Spool(SinkError),
    /// Sinks do not have it.
    #[error("bring the result to every sink: {0}")]
    Sinks(SinkFailures),
    /// ZooKeeper refused, or the session is over.
    #[error("write the ledger")]
    ZooKeeper(#[from] ZkError),
    /// The store is not known to belong to the ledger: nothing may be concluded from what it says.
    #[error("be sure that the store belongs to the ledger")]
    NotOurs,
    /// What was put aside for the jobs that follow has expired: the job is to be collected again.
    #[error("keep the tasks of a follow-up until they are needed")]
    Expired,
    /// This watcher is to leave.
    #[error("come to an end before leaving")]
    Abandoned,
    /// It waited for a slot, and is to be picked again if at all.
    #[error("begin with what held when it was picked")]
    Recalled,
}

/// A sink that does not have a result.
#[derive(Debug)]
pub(crate) struct SinkFailure {
    /// Which.
    pub(crate) sink: SinkName,
    /// Why.
    pub(crate) error: SinkError,
}

/// All that do not, at least one.
#[derive(Debug)]
pub(crate) struct SinkFailures(Vec<SinkFailure>);

impl SinkFailures {
    /// One after the other, in the order of the queue's sinks.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &SinkFailure> {
        self.0.iter()
    }

    /// For how long one of them wants to be left alone.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.iter()
            .filter_map(|failure| failure.error.retry_after())
            .max()
    }
}

impl From<Vec<SinkFailure>> for SinkFailures {
    fn from(failures: Vec<SinkFailure>) -> Self {
        Self(failures)
    }
}

impl fmt::Display for SinkFailures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, SinkFailure { sink, error }) in self.iter().enumerate() {
            let gap = if at > 0 { "; " } else { "" };
            write!(f, "{gap}{sink} failed to {}", error.chain())?;
        }
        Ok(())
    }
}

/// Why a result could not be put together.
enum Setback {
    Loss(Loss),
    Trouble(Trouble),
}

impl<E: Into<Trouble>> From<E> for Setback {
    fn from(error: E) -> Self {
        Self::Trouble(error.into())
    }
}

impl From<CollectError> for Setback {
    fn from(error: CollectError) -> Self {
        match error {
            CollectError::Loss(loss) => Self::Loss(loss),
            CollectError::Spool(error) => Self::Trouble(Trouble::Spool(error)),
            CollectError::Discarded => Self::Trouble(Trouble::Abandoned),
        }
    }
}

/// What all pipelines of a term share.
#[derive(Clone, Debug)]
pub(crate) struct Tools {
    /// The ledger, as this session may write it.
    pub ledger: Ledger,
    /// To ask whether the store belongs to it; holds the store.
    pub doorman: Doorman,
    /// Under which name to lock.
    pub member: MemberName,
    /// Where results are put together.
    pub spool: Arc<dyn Spool>,
    /// How much is there.
    pub in_spool: InSpool,
    /// Where they go.
    pub sinks: Arc<BTreeMap<SinkName, Arc<Guarded>>>,
    /// Limits, and what is done for which queue.
    pub config: Arc<Config>,
    /// What is counted.
    pub metrics: WatcherMetrics,
    /// The pipelines of those that are not light.
    pub slots: Arc<Slots>,
    /// The queues whose jobs are not light, however few their tasks are.
    pub bulky: Arc<Bulky>,
    /// The request to give up at the next possible moment.
    pub abandon: CancellationToken,
    /// The request to begin nothing with these tools any more: there are new ones, or the store is not to be touched.
    pub recall: CancellationToken,
}

/// The way of one job through this watcher.
#[derive(Debug)]
pub(crate) struct Pipeline {
    /// What it works with.
    pub tools: Arc<Tools>,
    /// Which job.
    pub id: JobId,
    /// What it looked like when it was picked; and then, what this pipeline made of it.
    pub entry: JobEntry,
    /// What an earlier attempt, or this one, has collected of it.
    pub harvest: Option<Harvest>,
    /// Whether it has rested as it is and may go back.
    pub rested: bool,
    /// What it has as long as it needs more than a light one.
    pub slot: Option<Slot>,
}

/// What became of an attempt.
#[derive(Debug)]
pub(crate) struct Attempted {
    /// How far it came. After an error the job stands where it stood, or further: try again.
    pub result: Result<Ended, Trouble>,
    /// The job as it was left.
    pub entry: JobEntry,
    /// What was collected and is of use for another attempt.
    pub harvest: Option<Harvest>,
}

impl Pipeline {
    /// Brings the job as far as possible, and holds its lock only meanwhile.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the lock behind until the session ends. Use [`Tools::abandon`].
    pub(crate) async fn run(mut self) -> Attempted {
        let result = self.attempt().await;
        Attempted {
            result,
            entry: self.entry,
            harvest: self.harvest,
        }
    }

    async fn attempt(&mut self) -> Result<Ended, Trouble> {
        self.slot = self.take_slot().await?;
        let began = Instant::now();
        let tools = Arc::clone(&self.tools);
        let locking = tools.ledger.lock(&self.id, &self.entry, &tools.member);
        let (locking, early) = join(locking, self.collect_early()).await;
        let is_early = early.is_some();
        self.harvest = early.or(self.harvest.take());
        let lock = match locking? {
            Locking::Held(lock) => lock,
            Locking::Taken | Locking::Overtaken(_) => {
                if is_early {
                    self.discard_harvest().await;
                }
                return Ok(Ended::Settled);
            }
        };
        drill::point("locked");
        tools.metrics.locks.inc();
        let result = match is_early {
            true => self.hand_over(&lock, began).await,
            false => self.act_in_slot(&lock, began).await,
        };
        let unlocked = match result {
            Ok(Ended::Deleted) => Ok(()),
            _ => tools.ledger.unlock(lock).await,
        };
        tools.metrics.locks.dec();
        let ended = result?;
        unlocked?;
        Ok(ended)
    }

    /// A job that looked light may have turned out not to be.
    async fn act_in_slot(&mut self, lock: &Lock, began: Instant) -> Result<Ended, Trouble> {
        if self.slot.is_none() {
            self.slot = self.take_slot().await?;
        }
        self.act(lock, began).await
    }

    async fn act(&mut self, lock: &Lock, began: Instant) -> Result<Ended, Trouble> {
        let step = FirstStep::of(&self.entry.data);
        if matches!(step, FirstStep::Examine | FirstStep::DeliverEmpty) {
            if let ControlFlow::Continue(()) = self.resume().await? {
                return self.hand_over(lock, began).await;
            }
        } else {
            self.discard_harvest().await;
        }
        match step {
            FirstStep::Leave => Ok(Ended::Settled),
            FirstStep::Examine => self.examine(lock, began).await,
            FirstStep::DeliverEmpty => match self.collect_in_turn().await {
                Ok(()) => self.hand_over(lock, began).await,
                Err(Setback::Trouble(trouble)) => Err(trouble),
                Err(Setback::Loss(loss)) => self.declare_lost(lock, loss).await,
            },
            FirstStep::CleanUp | FirstStep::Delete => {
                if self.needs_store() {
                    self.check_ours().await?;
                }
                self.clean_up(lock).await
            }
            FirstStep::Cancel => self.cancel(lock).await,
        }
    }

    /// Lets go of what was collected: nothing comes of it.
    pub(super) async fn discard_harvest(&mut self) {
        if let Some(harvest) = self.harvest.take() {
            Forgetting::new(self.store().clone(), harvest).run().await;
        }
    }

    /// Whether the store has a part in what is left to do for a job that came to its end.
    fn needs_store(&self) -> bool {
        let data = &self.entry.data;
        let is_tied = !data.ties.then.is_empty() || data.ties.group.is_some();
        is_tied || FirstStep::of(data) != FirstStep::Delete
    }

    /// From a job that came to its end to one that is gone, but not before others have what they need of it.
    async fn clean_up(&self, lock: &Lock) -> Result<Ended, Trouble> {
        let data = &self.entry.data;
        self.open_follow_ups(&data.ties.then).await?;
        if self.settle_in_group(lock).await?.is_break() {
            return Ok(Ended::Settled);
        }
        if FirstStep::of(data) != FirstStep::Delete {
            self.drop_keys(data).await?;
        }
        self.delete(lock).await
    }

    async fn examine(&mut self, lock: &Lock, began: Instant) -> Result<Ended, Trouble> {
        let count = self.entry.data.count;
        let mut verdict = Verdict::of(count, &self.status().await?);
        loop {
            match verdict {
                Verdict::Collect => match self.collect_in_turn().await {
                    Ok(()) => return self.hand_over(lock, began).await,
                    Err(Setback::Trouble(trouble)) => return Err(trouble),
                    // Never again `Collect`.
                    Err(Setback::Loss(loss)) => {
                        verdict = Verdict::after(loss, count, &self.status().await?);
                    }
                },
                Verdict::Return => return self.give_back(lock).await,
                Verdict::Suspect(loss) => return self.declare_lost(lock, loss).await,
            }
        }
    }

    /// Gives the job back to the executors, after a rest that keeps it from going round at full speed.
    async fn give_back(&self, lock: &Lock) -> Result<Ended, Trouble> {
        if !self.rested {
            return Ok(Ended::Rest(return_delay(self.entry.version)));
        }
        self.check_ours().await?;
        let submitted = self.entry.data.in_state(JobState::Submitted);
        if self
            .tools
            .ledger
            .set_locked(lock, &self.entry, &submitted)
            .await?
            == Written::Yes
        {
            self.tools.metrics.jobs_returned.inc();
            tracing::info!(job.id = %self.id, queue = %self.entry.data.queue, "unfinished, given back to the executors");
        }
        Ok(Ended::Settled)
    }

    async fn declare_lost(&self, lock: &Lock, loss: Loss) -> Result<Ended, Trouble> {
        // An empty or foreign store has lost nothing: it is the wrong one.
        self.check_ours().await?;
        let why = loss.to_string();
        let lost = self.entry.data.lost(&why);
        if self.tools.ledger.set_locked(lock, &self.entry, &lost).await? == Written::Yes {
            self.tools.metrics.jobs_lost.inc();
            tracing::error!(
                job.id = %self.id,
                queue = %self.entry.data.queue,
                why,
                "lost; restore the store and set it to subm again, or cancel it with distjobctl"
            );
        }
        Ok(Ended::Settled)
    }

    async fn cancel(&self, lock: &Lock) -> Result<Ended, Trouble> {
        self.check_ours().await?;
        let data = &self.entry.data;
        // Opened first, so that the drop takes the tasks along and nobody can open them later.
        self.patiently(|| {
            self.store()
                .open(&self.id, self.entry.life, data.count, &data.source)
        })
        .await?;
        let ended = self.clean_up(lock).await?;
        self.tools.metrics.jobs_cancelled.inc();
        tracing::info!(job.id = %self.id, queue = %data.queue, "cancelled");
        Ok(ended)
    }

    fn tombstone_ttl_s(&self) -> u64 {
        self.tools.config.watcher.tombstone_ttl.as_secs().max(1)
    }

    /// Leaves nothing but a tombstone, which tells how the job ended that is now as `data` says.
    async fn drop_keys(&self, data: &JobData) -> Result<(), Trouble> {
        self.point_to_failed(data).await?;
        let ttl_s = self.tombstone_ttl_s();
        let source = &data.source;
        let reply = self
            .patiently(|| {
                self.store()
                    .drop_job(&self.id, self.entry.life, source, ttl_s, Some(data))
            })
            .await?;
        drill::point("dropped");
        if reply == DropReply::Stale {
            tracing::debug!(job.id = %self.id, "nothing to drop: the store knows a later life of this id");
        }
        Ok(())
    }

    async fn delete(&self, lock: &Lock) -> Result<Ended, Trouble> {
        drill::point("before-delete");
        match self.tools.ledger.delete_locked(lock, &self.entry).await? {
            Written::Yes => Ok(Ended::Deleted),
            Written::Overtaken(_) | Written::LockLost => Ok(Ended::Settled),
        }
    }

    async fn check_ours(&self) -> Result<(), Trouble> {
        let session = self.tools.ledger.session();
        match self.tools.doorman.belongs(session).await {
            true => Ok(()),
            false => Err(Trouble::NotOurs),
        }
    }

    async fn status(&self) -> Result<Status, Trouble> {
        let data = &self.entry.data;
        self.patiently(|| {
            self.store()
                .status(&self.id, self.entry.life, data.count, &data.source)
        })
        .await
    }

    async fn read(&self, from: u64) -> Result<Read, Trouble> {
        let request = self.read_request(from);
        self.patiently(|| self.store().read(&self.id, request)).await
    }

    fn read_request(&self, from: u64) -> ReadRequest {
        let config = &self.tools.config.watcher;
        ReadRequest {
            life: self.entry.life,
            from,
            tasks_max: config.slice_max_tasks,
            bytes_max: self.slice_bytes_max(config.slice_max_bytes),
        }
    }

    fn store(&self) -> &JobStore {
        &self.tools.doorman.store
    }

    /// Repeats a call until its answer is clear, as long as there is patience.
    async fn patiently<T, F>(&self, call: impl FnMut() -> F) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let until = async {
            tokio::select! {
                biased;
                () = sleep(STORE_PATIENCE) => {}
                () = self.tools.abandon.cancelled() => {}
            }
        };
        match retrying(until, call).await {
            Err(_) if self.tools.abandon.is_cancelled() => Err(Trouble::Abandoned),
            answer => Ok(answer?),
        }
    }
}
