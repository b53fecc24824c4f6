//! Running one lease: its handler and its commits, side by side.
//!
//! ```text
//!  Work ──► handler ──verdicts──► Tasks ──outcomes──► commit, one call at a time ──► Ended
//!             ▲ begins tasks        │ tasks that wait for another attempt ─────────► Later, each a Work of its own
//!             └─────────────────────┘ tasks that shall not begin ──► release
//! ```
//!
//! Reading order: this file (what goes in and comes out), `run` (the loop), `calls` (commit and release).

mod calls;
mod run;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use distjob_core::{
    Holder, Lease, Percent,
    retry::Policy,
    store::{Grant, Payloads},
};
use distjob_runtime::store::JobStore;
use tokio::{sync::watch, time::Instant};

use self::run::Run;
use crate::{
    grip::Grip,
    handler::{CommitLimits, Handler, Job},
    metrics::ExecutorMetrics,
    server::Slot,
};

/// What a lease needs to be run.
#[derive(Clone, Debug)]
pub(crate) struct Runner {
    /// Where outcomes are recorded.
    pub(crate) store: JobStore,
    /// Under whose name.
    pub(crate) holder: Holder,
    /// What to do with tasks.
    pub(crate) handler: Arc<dyn Handler>,
    /// What is counted.
    pub(crate) metrics: ExecutorMetrics,
}

/// How outcomes are cut into commits, how often a task is run, and when it is given up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunLimits {
    /// When a commit is due.
    pub(crate) commit: CommitLimits,
    /// How often a task that fails is run.
    pub(crate) policy: Policy,
    /// From so many deaths on a task is not run again; 0: never.
    pub(crate) poison_after: u32,
    /// When the first so many of the tasks of a job all failed, the others are not run; nothing: never.
    pub(crate) abort_after: Percent,
    /// What one lease should bring, in time: one that takes much longer gives back what has not begun.
    pub(crate) target: Duration,
}

/// What the loop asks of a lease that runs. A later word never asks for less than an earlier one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Order {
    /// Run it.
    #[default]
    Go,
    /// Begin no further task: record what runs, give back the rest.
    Halt,
    /// Nobody wants the outcomes: drop the handler at once, record and give back nothing.
    Kill,
}

/// How far a job is, as somebody last heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Tasks with an outcome.
    pub(crate) committed: u64,
    /// Those of them that failed.
    pub(crate) failed: u64,
    /// All tasks.
    pub(crate) count: u64,
}

/// Tasks in hand: a lease, or one task of it that is to be run again.
#[derive(Debug)]
pub(crate) struct Work {
    /// The job.
    pub(crate) job: Arc<Job>,
    /// What is in hand of it, these tasks among others.
    pub(crate) grip: Grip,
    /// Which tasks, and how many deaths they have seen.
    pub(crate) lease: Lease,
    /// A payload for each task.
    pub(crate) payloads: Arc<Payloads>,
    /// As which attempt they are run, from 1.
    pub(crate) attempt: u32,
    /// Whether nothing else may share their process.
    pub(crate) alone: bool,
    /// How far the job is.
    pub(crate) progress: Progress,
    /// When the job is given up.
    pub(crate) deadline: Option<Instant>,
    /// How long the tasks are expected to take.
    pub(crate) expected: Option<Duration>,
}

impl Work {
    /// Bytes of payload.
    pub(crate) fn bytes(&self) -> usize {
        self.payloads.bytes()
    }

    /// A lease, which is in hand.
    pub(crate) fn granted(job: Arc<Job>, grip: Grip, grant: Grant) -> Self {
        let Grant {
            lease,
            committed,
            failed,
            count,
            tasks,
            ..
        } = grant;
        Self {
            job,
            grip,
            lease,
            payloads: tasks.into(),
            attempt: 1,
            alone: false,
            progress: Progress {
                committed,
                failed,
                count,
            },
            deadline: None,
            expected: None,
        }
    }
}

/// A task that waits for its next attempt. It is in hand.
#[derive(Debug)]
pub(crate) struct Later {
    /// When it is to be run, or
    pub(crate) due: Instant,
    /// before when nothing of its queue can be run here: then it is to be given back.
    pub(crate) elsewhere: bool,
    /// This one task.
    pub(crate) work: Work,
}

/// How a lease ended. The tasks that wait are still in hand; of all others the runner has let go.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The job.
    pub(crate) job: Arc<Job>,
    /// Whether the store holds nothing of it for us any more but what waits. `false` when it was killed, and after a
    /// rollback of the store: the next claim brings back what there is.
    pub(crate) is_over: bool,
    /// Whether the job is complete.
    pub(crate) job_is_complete: bool,
    /// Tasks that wait for their next attempt, in index order.
    pub(crate) later: Vec<Later>,
    /// Whether some of it was given back: somebody may want it.
    pub(crate) gave_back: bool,
    /// Tasks that never began here: given back, or recorded without being run.
    pub(crate) unbegun: u64,
    /// Attempts that were made.
    pub(crate) tasks_run: u64,
    /// Time that they took on this slot.
    pub(crate) elapsed: Duration,
    /// Attempts that failed and are to be repeated.
    pub(crate) retries: u64,
    /// Attempts that took too long.
    pub(crate) timeouts: u64,
}

impl Runner {
    /// Runs tasks to their end, or until they are halted, or until they are somebody else's. What was run before a halt
    /// is recorded. The slot, if it is one to be given away, is given away when the handler is done.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the lease as the last call left it, and drops the handler's.
    pub(crate) async fn run(
        self,
        work: Work,
        limits: RunLimits,
        orders: watch::Receiver<Order>,
        slot: Option<Slot>,
    ) -> Ended {
        let mut run = Run::new(self, work, limits, orders, slot);
        run.serve().await;
        run.end()
    }
}
