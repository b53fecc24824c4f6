//! Running one lease: task by task on a thread of its own, recorded commit by commit.

use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use distjob_core::{
    Holder, JobId, Lease, Outcome, Packed, QueueName, TaskRange, Zxid,
    executor::{AfterCommit, Treatment, after_commit, treatment},
    store::{Commit, CommitRequest, Grant},
};
use distjob_runtime::store::JobStore;
use tokio::{task::spawn_blocking, time::sleep};

use crate::{handler::Handler, metrics::ExecutorMetrics};

/// What a lease needs to be run.
#[derive(Clone)]
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
    /// Bytes of outcomes after which a commit is due.
    pub(crate) commit_bytes: u64,
    /// Time after which a commit is due.
    pub(crate) commit_every: Duration,
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
    /// Which lease: its end names it.
    pub(crate) hi: u64,
    /// Whether the store holds nothing of it for us any more. `false` when it was halted before its end.
    pub(crate) is_over: bool,
    /// Whether the job is complete.
    pub(crate) job_is_complete: bool,
    /// Tasks that were run.
    pub(crate) tasks_run: u64,
    /// Time that they took.
    pub(crate) elapsed: Duration,
}

/// The outcomes of the next few tasks.
struct Stretch {
    tasks: Vec<Vec<u8>>,
    packed: Packed,
    elapsed: Duration,
}

impl Runner {
    /// Runs a lease to its end, or until it is halted, or until it is somebody else's. What was run before a halt is
    /// recorded.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the lease as the last commit left it; a task that runs goes on to its end on its
    /// thread, and its outcome is forgotten.
    pub(crate) async fn run(self, work: Work, limits: RunLimits) -> Ended {
        let Work {
            id,
            life,
            queue,
            grant,
            ..
        } = work;
        let first = grant.lease.range.lo();
        let mut tasks = grant.tasks;
        let mut lease = grant.lease;
        let hi = lease.range.hi();
        let mut ended = Ended {
            id,
            life,
            queue,
            hi,
            is_over: false,
            job_is_complete: false,
            tasks_run: 0,
            elapsed: Duration::ZERO,
        };
        while !self.halt.load(Ordering::Relaxed) {
            let stretch = self.clone().stretch(tasks, first, lease, limits).await;
            tasks = stretch.tasks;
            ended.tasks_run += stretch.packed.count();
            ended.elapsed += stretch.elapsed;
            if stretch.packed.is_empty() {
                break;
            }
            let commit = self.commit(&ended.id, life, lease.range, &stretch.packed).await;
            match after_commit(&commit, hi) {
                // Before the first task there is nothing that this grant has payloads for.
                AfterCommit::Continue(rest) if rest.range.lo() >= first => lease = rest,
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

    /// Runs tasks from the front of `lease` until a commit is due. `tasks` are those from index `first` on.
    async fn stretch(self, tasks: Vec<Vec<u8>>, first: u64, lease: Lease, limits: RunLimits) -> Stretch {
        let running = spawn_blocking(move || {
            let begun = Instant::now();
            let packed = match treatment(&lease, limits.poison_after) {
                Treatment::Run => self.run_tasks(&tasks, first, lease.range, limits),
                Treatment::GiveUp => self.give_up(lease),
            };
            Stretch {
                tasks,
                packed,
                elapsed: begun.elapsed(),
            }
        });
        match running.await {
            Ok(stretch) => stretch,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is going down, and this future with it.
                Err(_) => std::future::pending().await,
            },
        }
    }

    fn run_tasks(&self, tasks: &[Vec<u8>], first: u64, range: TaskRange, limits: RunLimits) -> Packed {
        let begun = Instant::now();
        let mut packed = Packed::default();
        let front = usize::try_from(range.lo() - first).unwrap_or(usize::MAX);
        for payload in tasks.iter().skip(front) {
            if self.halt.load(Ordering::Relaxed) {
                break;
            }
            match self.handler.handle(payload) {
                Ok(value) => packed.push(Outcome::Ok(&value)),
                Err(error) => packed.push(Outcome::Err(error.as_bytes())),
            }
            if packed.bytes().len() as u64 >= limits.commit_bytes || begun.elapsed() >= limits.commit_every {
                break;
            }
        }
        packed
    }

    fn give_up(&self, lease: Lease) -> Packed {
        let message: Cow<'_, str> = format!(
            "given up: {} executors died while they ran this task",
            lease.attempts
        )
        .into();
        let mut packed = Packed::default();
        packed.push(Outcome::Err(message.as_bytes()));
        self.metrics.tasks_given_up.inc();
        packed
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
