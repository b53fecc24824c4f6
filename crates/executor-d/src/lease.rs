//! Running one lease: stretch by stretch by its handler, recorded commit by commit.

use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use distjob_core::{
    Holder, JobId, Lease, Outcome, Packed, QueueName, TaskRange, Zxid,
    executor::{AfterCommit, Treatment, after_commit, treatment},
    store::{Commit, CommitRequest, Grant},
};
use distjob_runtime::store::JobStore;
use futures::future::BoxFuture;
use tokio::time::{Instant, sleep};

use crate::{
    handler::{Handler, Ran, Stretch, StretchLimits},
    metrics::ExecutorMetrics,
};

/// What a lease needs to be run.
pub(crate) struct Runner {
    /// Where outcomes are recorded.
    pub(crate) store: JobStore,
    /// Under whose name.
    pub(crate) holder: Holder,
    /// What to do with a task.
    pub(crate) handler: Arc<dyn Handler>,
    /// Set when no further task may begin.
    pub(crate) halt: Arc<AtomicBool>,
    /// What is counted.
    pub(crate) metrics: ExecutorMetrics,
}

/// How outcomes are cut into commits, and when a task is given up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunLimits {
    /// When a commit is due.
    pub(crate) stretch: StretchLimits,
    /// From so many deaths on a task is not run again; 0: never.
    pub(crate) poison_after: u32,
}

/// A lease in hand.
#[derive(Debug)]
pub(crate) struct Work {
    /// The job.
    pub(crate) id: JobId,
    /// Its life.
    pub(crate) life: Zxid,
    /// Its queue.
    pub(crate) queue: QueueName,
    /// What was granted.
    pub(crate) grant: Grant,
    /// How long its tasks are expected to take.
    pub(crate) expected: Option<Duration>,
}

/// How a lease ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The job.
    pub(crate) id: JobId,
    /// Its life.
    pub(crate) life: Zxid,
    /// Its queue.
    pub(crate) queue: QueueName,
    /// What was granted.
    pub(crate) range: TaskRange,
    /// Whether the store holds nothing of it for us any more. `false` when it was halted before its end.
    pub(crate) is_over: bool,
    /// Whether the job is complete.
    pub(crate) job_is_complete: bool,
    /// Tasks that were run.
    pub(crate) tasks_run: u64,
    /// Time that they took.
    pub(crate) elapsed: Duration,
}

/// What the store granted.
struct Granted {
    /// The index of the first task.
    first: u64,
    /// The payloads from there on.
    tasks: Arc<[Vec<u8>]>,
}

impl Runner {
    /// Runs a lease to its end, or until it is halted, or until it is somebody else's. What was run before a halt is
    /// recorded.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the lease as the last commit left it, and drops the handler's.
    pub(crate) async fn run(self, work: Work, limits: RunLimits) -> Ended {
        let Work {
            id,
            life,
            queue,
            grant,
            ..
        } = work;
        let granted = Granted {
            first: grant.lease.range.lo(),
            tasks: grant.tasks.into(),
        };
        let mut lease = grant.lease;
        let mut ended = Ended {
            id,
            life,
            queue,
            range: lease.range,
            is_over: false,
            job_is_complete: false,
            tasks_run: 0,
            elapsed: Duration::ZERO,
        };
        while !self.halt.load(Ordering::Relaxed) {
            let ran = match treatment(&lease, limits.poison_after) {
                Treatment::Run => self.stretch(&ended, &granted, lease.range, limits.stretch).await,
                Treatment::GiveUp => self.give_up(lease),
            };
            ended.tasks_run += ran.outcomes.count();
            ended.elapsed += ran.elapsed;
            if ran.outcomes.is_empty() {
                break;
            }
            let commit = self.commit(&ended.id, life, lease.range, &ran.outcomes).await;
            match after_commit(&commit, ended.range) {
                // Before the first task there is nothing that this grant has payloads for.
                AfterCommit::Continue(rest) if rest.range.lo() >= granted.first => lease = rest,
                AfterCommit::Continue(_) => break,
                AfterCommit::Complete => {
                    ended.is_over = true;
                    ended.job_is_complete = true;
                    break;
                }
                AfterCommit::Ended => {
                    ended.is_over = true;
                    break;
                }
            }
        }
        ended
    }

    /// Lets the handler run what is left of a lease, until a commit is due.
    fn stretch(
        &self,
        ended: &Ended,
        granted: &Granted,
        range: TaskRange,
        limits: StretchLimits,
    ) -> BoxFuture<'static, Ran> {
        self.handler.run(Stretch {
            id: ended.id.clone(),
            life: ended.life,
            queue: ended.queue.clone(),
            tasks: Arc::clone(&granted.tasks),
            first: granted.first,
            range,
            limits,
            halt: Arc::clone(&self.halt),
            begun: Instant::now(),
            outcomes: Packed::default(),
        })
    }

    fn give_up(&self, lease: Lease) -> Ran {
        let message: Cow<'_, str> = format!(
            "given up: {} executors died while they ran this task",
            lease.attempts
        )
        .into();
        let mut packed = Packed::default();
        packed.push(Outcome::Err(message.as_bytes()));
        self.metrics.tasks_given_up.inc();
        Ran {
            outcomes: packed,
            elapsed: Duration::ZERO,
        }
    }

    /// Records outcomes, however long that takes. An unclear commit is repeated; it takes effect once.
    async fn commit(&self, id: &JobId, life: Zxid, range: TaskRange, outcomes: &Packed) -> Commit {
        let request = CommitRequest {
            life,
            holder: &self.holder,
            lo: range.lo(),
            outcomes,
        };
        let mut pause = Duration::from_millis(50);
        let mut unclear = false;
        loop {
            match self.store.commit(id, &request).await {
                Ok(commit) => {
                    if commit.accepted {
                        self.metrics
                            .recorded(outcomes.count() - outcomes.failed(), outcomes.failed());
                    } else {
                        self.metrics.commits_refused.inc();
                        tracing::info!(job.id = %id, range = %range, after_unclear = unclear, "a commit was refused");
                    }
                    return commit;
                }
                Err(error) => {
                    unclear = true;
                    tracing::warn!(job.id = %id, range = %range, %error, "repeating a commit");
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }
}
