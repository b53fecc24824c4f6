//! The tasks between two commits, for functions on threads.

use std::{mem, sync::Arc, time::Duration};

use distjob_core::{Account, Outcome, Packed, Record, retry::Next};
use tokio::time::Instant;

use super::{Failure, Job, Task, Tasks, Verdict, tasks::Terms};

/// The next tasks of a lease, up to the next commit, and the outcomes of those that were run.
///
/// ```
/// # use distjob_executor::handler::{Ran, Stretch};
/// # fn run(mut stretch: Stretch) -> Ran {
/// while let Some(task) = stretch.task() {
///     let verdict = Ok(task.payload().to_ascii_uppercase().into());
///     stretch.record(verdict);
/// }
/// stretch.end()
/// # }
/// ```
#[derive(Debug)]
pub struct Stretch {
    tasks: Tasks,
    /// The task that is run right now, or was the last; none before the first.
    task: Option<Task>,
    /// Whether it has no verdict yet.
    is_open: bool,
    begun: Instant,
    bytes: usize,
    ran: Ran,
    /// Outcomes since the last gap, from this index on.
    run: (u64, Packed),
}

/// What came of a stretch.
#[derive(Debug, Default)]
pub struct Ran {
    /// Outcomes, by the first index of each run.
    pub(crate) runs: Vec<(u64, Packed)>,
    /// Tasks that are to be run again.
    pub(crate) failed: Vec<(u64, Failure, Account)>,
    /// How many tasks were run.
    pub(crate) count: u64,
    /// How long they took.
    pub(crate) elapsed: Duration,
}

impl Stretch {
    pub(super) fn new(tasks: Tasks) -> Self {
        Self {
            tasks,
            task: None,
            is_open: false,
            begun: Instant::now(),
            bytes: 0,
            ran: Ran::default(),
            run: (0, Packed::default()),
        }
    }

    /// The job that the tasks belong to.
    #[must_use]
    pub fn job(&self) -> &Arc<Job> {
        self.tasks.job()
    }

    /// Lets the time count from now on: a handler that was kept waiting for a thread has not begun before.
    pub fn begin(&mut self) {
        self.begun = Instant::now();
    }

    /// The task to be run next, the same one until its verdict is recorded. `None` when the stretch is over, be it
    /// because a commit is due or because no further task may begin.
    #[must_use]
    pub fn task(&mut self) -> Option<&Task> {
        if !self.is_open {
            let now = Instant::now();
            if self.is_due(now) {
                return None;
            }
            let position = self.tasks.begin()?;
            match &mut self.task {
                Some(task) => {
                    task.index = self.tasks.terms().first + position as u64;
                    task.position = position;
                    task.begun = now;
                }
                None => self.task = Some(self.tasks.task(position, now)),
            }
            self.is_open = true;
        }
        self.task.as_ref()
    }

    fn is_due(&self, now: Instant) -> bool {
        let limits = self.tasks.terms().commit;
        self.ran.count > 0 && (self.bytes >= limits.bytes || now.duration_since(self.begun) >= limits.time)
    }

    /// Records the verdict on [`task`](Self::task); does nothing when there is none.
    pub fn record(&mut self, verdict: Verdict) {
        let Some(task) = self.task.as_ref().filter(|_| mem::take(&mut self.is_open)) else {
            return;
        };
        let (index, attempts, begun) = (task.index, task.attempt, task.begun);
        self.tasks.hear(index, || verdict.clone());
        self.ran.count += 1;
        let account = || Account {
            attempts,
            elapsed: begun.elapsed(),
        };
        let Terms { policy, .. } = self.tasks.terms();
        let failure = match verdict {
            Ok(value) => {
                let account = (attempts > 1).then(account);
                return self.push(
                    index,
                    &Record {
                        outcome: Outcome::Ok(&value),
                        account,
                        stderr: &[],
                    },
                );
            }
            Err(failure) => failure,
        };
        // Chance decides only about when, and has its say where the stretch is recorded.
        if policy.after_failure(attempts, failure.retry, 0.0) != Next::Final {
            let account = account();
            return self.ran.failed.push((index, failure, account));
        }
        let record = Record {
            outcome: Outcome::Err(failure.message.as_bytes()),
            account: (attempts > 1).then(account),
            stderr: &failure.stderr,
        };
        self.push(index, &record);
    }

    fn push(&mut self, index: u64, record: &Record<'_>) {
        let (lo, run) = &mut self.run;
        if *lo + run.count() != index && !run.is_empty() {
            self.ran.runs.push((*lo, mem::take(run)));
        }
        if run.is_empty() {
            *lo = index;
        }
        let before = run.bytes().len();
        run.push_record(*record);
        self.bytes += run.bytes().len() - before;
    }

    /// The end of it.
    #[must_use]
    pub fn end(self) -> Ran {
        let Self {
            mut ran, run, begun, ..
        } = self;
        if !run.1.is_empty() {
            ran.runs.push(run);
        }
        ran.elapsed = begun.elapsed();
        ran
    }
}
