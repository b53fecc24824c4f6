//! The tasks of one lease, between the handler that runs them and the runner that commits what came of them.
//!
//! Neither waits for the other but in [`Tasks::room`]: the handler begins tasks and records verdicts in any order, while
//! the runner takes outcomes out and commits them, or takes tasks away that have not begun.

mod runner;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use distjob_core::{
    Account, Outcome, Record, TaskRange,
    retry::{Next, Policy},
    store::Payloads,
};
use distjob_runtime::chance;
use tokio::{sync::Notify, time::Instant};

use super::{
    Failure, Job, Ran, Stretch, Task, Verdict,
    book::{Book, Waiting},
    window::Window,
};

/// A lease of which so many tasks wait for their next attempt begins no further one: each of them is a piece of its own
/// in the store.
const WAITING_MAX: usize = 64;

/// The tasks of one lease. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Tasks {
    shared: Arc<Shared>,
}

/// What a lease is and how it is run.
#[derive(Debug)]
pub(crate) struct Terms {
    /// The job.
    pub(crate) job: Arc<Job>,
    /// The index of the first task.
    pub(crate) first: u64,
    /// The payloads from there on: one a task.
    pub(crate) payloads: Arc<Payloads>,
    /// As which attempt they are run, from 1.
    pub(crate) attempt: u32,
    /// Whether nothing else may share their process.
    pub(crate) alone: bool,
    /// Whether and when a failed task is run again.
    pub(crate) policy: Policy,
    /// When a commit is due.
    pub(crate) commit: CommitLimits,
}

/// When outcomes are due to be committed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CommitLimits {
    /// When they have so many bytes,
    pub(crate) bytes: usize,
    /// or so long after the first of them.
    pub(crate) time: Duration,
}

#[derive(Debug)]
struct Shared {
    terms: Terms,
    window: Window,
    state: Mutex<State>,
    /// Tells the runner that something is due.
    due: Notify,
    /// Tells handlers that there is room again.
    room: Notify,
    /// In a trial, all verdicts.
    heard: Option<Mutex<BTreeMap<u64, Verdict>>>,
}

#[derive(Debug, Default)]
struct State {
    book: Book,
    /// What was taken away and not given back.
    cut: Vec<TaskRange>,
}

impl Tasks {
    pub(crate) fn new(terms: Terms) -> Self {
        Self::heard_by(terms, None)
    }

    /// Tasks that belong to no lease, to try a handler on: see [`trial`](super::trial).
    pub(crate) fn on_trial(terms: Terms) -> Self {
        Self::heard_by(terms, Some(Mutex::default()))
    }

    fn heard_by(terms: Terms, heard: Option<Mutex<BTreeMap<u64, Verdict>>>) -> Self {
        let count = u32::try_from(terms.payloads.len()).unwrap_or(u32::MAX);
        let shared = Shared {
            terms,
            window: Window::new(count),
            state: Mutex::default(),
            due: Notify::new(),
            room: Notify::new(),
            heard,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The job that they belong to.
    #[must_use]
    pub fn job(&self) -> &Arc<Job> {
        &self.shared.terms.job
    }

    /// Whether nothing else may share the process that runs them: when such a process died of several, each of them is
    /// run alone, to find out which one it was.
    #[must_use]
    pub fn alone(&self) -> bool {
        self.shared.terms.alone
    }

    /// Begins the next task. `None` when there is none, and then there never will be: all have begun, or those that
    /// have not were taken away.
    #[must_use]
    pub fn next(&self) -> Option<Task> {
        let position = self.begin()?;
        Some(self.task(position, Instant::now()))
    }

    /// Waits until there is room for more outcomes, which is nearly always. Call it before [`next`](Self::next): when the store is
    /// away, outcomes must not pile up. Cancel safe.
    pub async fn room(&self) {
        loop {
            // Before the look: whoever makes room after it wakes this one.
            let room = self.shared.room.notified();
            if self.shared.window.left() == 0
                || self.state().book.bytes() < 2 * self.shared.terms.commit.bytes
            {
                return;
            }
            room.await;
        }
    }

    /// Records what became of a task. The account of it says how long it took from when it began until now.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "who has recorded a task has it no more"
    )]
    pub fn record(&self, task: Task, verdict: Verdict) {
        let now = Instant::now();
        let Task {
            index,
            attempt,
            begun,
            ..
        } = task;
        let mut state = self.state();
        let state = &mut *state;
        let tally = state.book.tally_mut();
        tally.tasks_run += 1;
        tally.first = Some(tally.first.map_or(begun, |first| first.min(begun)));
        tally.last = Some(now);
        let account = Account {
            attempts: attempt,
            elapsed: now.saturating_duration_since(begun),
        };
        match &verdict {
            Ok(value) => {
                let record = Record {
                    outcome: Outcome::Ok(value),
                    account: Some(account),
                    stderr: &[],
                };
                self.note(state, index, &record, now);
            }
            Err(failure) => self.fail(state, index, failure, Some(account), now),
        }
        self.hear(index, || verdict);
    }

    /// The next tasks for a function that needs nothing but a thread, until a commit is due: they cost it a few
    /// nanoseconds each, and their outcomes are small. `None` as with [`next`](Self::next).
    #[must_use]
    pub fn stretch(&self) -> Option<Stretch> {
        (self.shared.window.left() > 0).then(|| Stretch::new(self.clone()))
    }

    /// Records what became of a stretch.
    pub fn record_stretch(&self, ran: Ran) {
        let now = Instant::now();
        let mut state = self.state();
        let state = &mut *state;
        let tally = state.book.tally_mut();
        tally.tasks_run += ran.count;
        tally.on_threads += ran.elapsed;
        // Its outcomes have waited since it began: when it took as long as a commit may be late, one is due at once.
        let since = now.checked_sub(ran.elapsed).unwrap_or(now);
        for (lo, run) in ran.runs {
            self.watch(state, |state| state.book.note_run(lo, run, since));
        }
        for (index, failure, account) in ran.failed {
            self.fail(state, index, &failure, Some(account), now);
        }
    }

    /// Keeps a verdict, in a trial.
    pub(super) fn hear(&self, index: u64, verdict: impl FnOnce() -> Verdict) {
        if let Some(heard) = &self.shared.heard {
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard.insert(index, verdict());
        }
    }

    pub(super) fn begin(&self) -> Option<usize> {
        self.shared.window.begin().map(|position| position as usize)
    }

    pub(super) fn task(&self, position: usize, begun: Instant) -> Task {
        let terms = &self.shared.terms;
        Task {
            index: terms.first + position as u64,
            attempt: terms.attempt,
            begun,
            payloads: Arc::clone(&terms.payloads),
            position,
        }
    }

    pub(super) fn terms(&self) -> &Terms {
        &self.shared.terms
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, state: &mut State, index: u64, record: &Record<'_>, now: Instant) {
        self.watch(state, |state| state.book.note(index, *record, now));
    }

    /// Lets the runner know when a change of the book concerns it.
    fn watch(&self, state: &mut State, change: impl FnOnce(&mut State)) {
        let most = self.shared.terms.commit.bytes;
        let look = |book: &Book| (book.since().is_some(), book.pending_bytes() >= most);
        let before = look(&state.book);
        change(state);
        if look(&state.book) != before {
            self.shared.due.notify_one();
        }
    }

    fn fail(&self, state: &mut State, index: u64, failure: &Failure, account: Option<Account>, now: Instant) {
        let Terms { attempt, policy, .. } = self.shared.terms;
        state.book.tally_mut().timeouts += u64::from(failure.timed_out);
        match policy.after_failure(attempt, failure.retry, chance::fraction()) {
            Next::Final => {
                let record = Record {
                    outcome: Outcome::Err(failure.message.as_bytes()),
                    account,
                    stderr: &failure.stderr,
                };
                self.note(state, index, &record, now);
            }
            Next::Again {
                attempt,
                after,
                alone,
            } => {
                let waiting = Waiting {
                    attempt,
                    due: later(now, after),
                    alone,
                    elsewhere: false,
                };
                state.book.wait(index, waiting);
                if state.book.waiting().len() >= WAITING_MAX {
                    self.cut_in(state, 0);
                }
            }
            Next::Elsewhere(rest) => {
                let waiting = Waiting {
                    attempt,
                    due: later(now, rest),
                    alone: false,
                    elsewhere: true,
                };
                state.book.wait(index, waiting);
                // The others would fare no better.
                self.cut_in(state, 0);
            }
        }
    }

    fn cut_in(&self, state: &mut State, keep: u32) {
        let Some((from, to)) = self.shared.window.cut(keep) else {
            return;
        };
        let first = self.shared.terms.first;
        state
            .cut
            .extend(TaskRange::new(first + u64::from(from), first + u64::from(to)));
        self.shared.due.notify_one();
        self.shared.room.notify_waiters();
    }
}

/// Saturates: nothing is ever due in ten thousand years.
fn later(now: Instant, pause: Duration) -> Instant {
    now.checked_add(pause)
        .unwrap_or(now + Duration::from_secs(1 << 30))
}
