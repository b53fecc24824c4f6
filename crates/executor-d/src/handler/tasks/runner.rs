//! The runner's side of the tasks of a lease.

use std::{collections::BTreeMap, sync::PoisonError};

use distjob_core::{Outcome, Packed, TaskRange};
use tokio::time::Instant;

use super::{CommitLimits, Tasks, Terms};
use crate::handler::{
    Failure, Verdict,
    book::{Tally, Waiting},
};

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

    /// Bytes of the outcomes that are not committed, whether they were taken or not.
    pub(crate) fn uncommitted_bytes(&self) -> usize {
        self.state().book.bytes()
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
    pub(crate) fn payload(&self, index: u64) -> &[u8] {
        let Terms { first, payloads, .. } = &self.shared.terms;
        let position = usize::try_from(index - first).ok();
        position
            .and_then(|position| payloads.get(position))
            .unwrap_or_default()
    }
}
