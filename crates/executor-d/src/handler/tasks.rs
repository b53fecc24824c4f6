//! The tasks of one lease, between the handler that runs them and the runner that commits what came of them.
//!
//! Neither waits for the other but in [`Tasks::room`]: the handler begins tasks and records verdicts in any order, while
//! the runner takes outcomes out and commits them, or takes tasks away that have not begun.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use distjob_core::{
    Account, Outcome, Packed, Record, TaskRange,
    retry::{Next, Policy},
};
use distjob_runtime::chance;
use tokio::{sync::Notify, time::Instant};

use super::{
    Failure, Job, Ran, Stretch, Task, Verdict,
    book::{Book, Tally, Waiting},
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
    pub(crate) payloads: Arc<[Vec<u8>]>,
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
                // Saturates: nothing is ever due in ten thousand years.
                let due = now
                    .checked_add(after)
                    .unwrap_or(now + Duration::from_secs(1 << 30));
                state.book.wait(index, Waiting { attempt, due, alone });
                if state.book.waiting().len() >= WAITING_MAX {
                    self.cut_in(state, 0);
                }
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

/// The runner's side.
impl Tasks {
    /// Waits until a commit may be due that was not before, or something was taken away. For a single waiter. Cancel
    /// safe.
    pub(crate) async fn changed(&self) {
        self.shared.due.notified().await;
    }

    /// Takes away all tasks that have not begun, but for the next `keep`.
    pub(crate) fn cut(&self, keep: u32) {
        self.cut_in(&mut self.state(), keep);
    }

    /// What was taken away since the last call.
    pub(crate) fn take_cut(&self) -> Vec<TaskRange> {
        std::mem::take(&mut self.state().cut)
    }

    /// Waits until no task may begin any more. Cancel safe.
    pub(crate) async fn none_left(&self) {
        loop {
            // Before the look: whoever takes tasks away after it wakes this one.
            let room = self.shared.room.notified();
            if self.left() == 0 {
                return;
            }
            room.await;
        }
    }

    /// How many tasks may still begin.
    pub(crate) fn left(&self) -> u32 {
        self.shared.window.left()
    }

    /// How many tasks have begun.
    pub(crate) fn begun(&self) -> u32 {
        self.shared.window.begun()
    }

    /// Nobody wants them any more: no task begins, and nothing is recorded.
    pub(crate) fn abandon(&self) {
        let _ = self.shared.window.cut(0);
        self.state().book.close();
        self.shared.room.notify_waiters();
    }

    /// When the next commit is due, if there is something to commit. At once when there is much.
    pub(crate) fn commit_due(&self) -> Option<Instant> {
        let CommitLimits { bytes, time } = self.shared.terms.commit;
        let state = self.state();
        let since = state.book.since()?;
        Some(if state.book.pending_bytes() >= bytes {
            since
        } else {
            since + time
        })
    }

    /// All outcomes that nobody has taken, by the first index of each run.
    pub(crate) fn take_outcomes(&self) -> BTreeMap<u64, Packed> {
        self.state().book.take()
    }

    /// Takes notice that outcomes of so many bytes need no memory any more.
    pub(crate) fn put_away(&self, bytes: usize) {
        self.state().book.put_away(bytes);
        self.shared.room.notify_waiters();
    }

    /// The handler is done: whatever it began and said nothing of has failed, so. Nothing is recorded any more.
    pub(crate) fn close(&self, failure: &Failure) {
        let now = Instant::now();
        let first = self.shared.terms.first;
        let begun = first + u64::from(self.shared.window.begun());
        let mut state = self.state();
        for (lo, hi) in state.book.unsettled(first, begun) {
            for index in lo..hi {
                self.fail(&mut state, index, failure, None, now);
            }
        }
        state.book.close();
    }

    /// No task is run any more, and whatever has no outcome gets this one, also what waits; so many those are. What was
    /// taken away before stays so. Nothing is recorded any more.
    pub(crate) fn give_up(&self, message: &str) -> u64 {
        let now = Instant::now();
        let first = self.shared.terms.first;
        let begun = self.shared.window.begun();
        let upto = self.shared.window.cut(0).map_or(begun, |(_, to)| to);
        let outcome = Outcome::Err(message.as_bytes());
        let mut state = self.state();
        let mut count = 0;
        self.watch(&mut state, |state| {
            count += state.book.wait_no_longer(outcome.into(), now);
            for (lo, hi) in state.book.unsettled(first, first + u64::from(upto)) {
                let mut run = Packed::default();
                (lo..hi).for_each(|_| run.push(outcome));
                count += run.count();
                state.book.note_run(lo, run, now);
            }
            state.book.close();
        });
        self.shared.room.notify_waiters();
        count
    }

    /// Whether every task that has not been taken away has its outcome, or waits.
    pub(crate) fn are_settled(&self) -> bool {
        let first = self.shared.terms.first;
        let begun = first + u64::from(self.shared.window.begun());
        self.shared.window.left() == 0 && self.state().book.unsettled(first, begun).is_empty()
    }

    /// Hands over the tasks that wait for another attempt.
    pub(crate) fn take_waiting(&self) -> BTreeMap<u64, Waiting> {
        self.state().book.take_waiting()
    }

    /// What was counted.
    pub(crate) fn tally(&self) -> Tally {
        *self.state().book.tally()
    }

    /// The verdicts of a trial.
    pub(crate) fn take_heard(&self) -> BTreeMap<u64, Verdict> {
        let heard = self.shared.heard.as_ref();
        heard.map_or_else(BTreeMap::new, |heard| {
            std::mem::take(&mut *heard.lock().unwrap_or_else(PoisonError::into_inner))
        })
    }

    /// The payload of the task of this index.
    pub(crate) fn payload(&self, index: u64) -> Vec<u8> {
        let Terms { first, payloads, .. } = &self.shared.terms;
        let position = usize::try_from(index - first).ok();
        position
            .and_then(|position| payloads.get(position))
            .cloned()
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
