//! What this executor has work on in one job.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use distjob_core::TaskRange;

use crate::spans::Spans;

/// The tasks of one job that are in hand: queued, running, or waiting for their next attempt. The loop takes them;
/// whoever runs them lets go of them, piece by piece. Cheap to clone; all clones are one.
///
/// Neighbours count as one range however they came: in the store they may be one lease.
#[derive(Clone, Debug, Default)]
pub(crate) struct Grip(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    held: Spans,
    /// What is being given back. Visits name it with what is held: the store would take it for a lease that nobody knows of,
    /// and lease it to the same holder once more, just before it is given back.
    leaving: Spans,
    /// While a visit is under way: what was let go since it began. Its answer may still speak of that.
    past: Option<Spans>,
}

impl Grip {
    /// A visit to the job begins. Answers what is in hand, or is being given back.
    pub(crate) fn begin_visit(&self) -> Vec<TaskRange> {
        let mut state = self.state();
        state.past = Some(Spans::default());
        let mut known = state.held.clone();
        state.leaving.runs().for_each(|(lo, hi)| known.add(lo, hi));
        let runs = known.runs();
        runs.filter_map(|(lo, hi)| TaskRange::new(lo, hi)).collect()
    }

    /// The visit is over.
    pub(crate) fn end_visit(&self) {
        self.state().past = None;
    }

    /// Takes these tasks. `false`, and nothing happens, when some of them are in hand already, or were at any time
    /// since the visit began that brought them.
    #[must_use]
    pub(crate) fn take(&self, range: TaskRange) -> bool {
        let mut state = self.state();
        let was_let_go = state
            .past
            .as_ref()
            .is_some_and(|past| past.overlaps(range.lo(), range.hi()));
        if was_let_go || !state.held.insert(range.lo(), range.hi()) {
            return false;
        }
        // The store leases again what it was given back, whenever the answer to that comes.
        state.leaving.remove(range.lo(), range.hi());
        true
    }

    /// Lets go of these tasks, whichever of them are in hand: they are recorded, or somebody else's.
    pub(crate) fn let_go(&self, range: TaskRange) {
        let mut state = self.state();
        let State { held, past, .. } = &mut *state;
        if let Some(past) = past {
            past.add(range.lo(), range.hi());
        }
        held.remove(range.lo(), range.hi());
    }

    /// [Lets go](Self::let_go) of these tasks to give them back, until [`left`](Self::left) says that this was answered.
    pub(crate) fn leave(&self, range: TaskRange) {
        self.let_go(range);
        self.state().leaving.add(range.lo(), range.hi());
    }

    /// These have been given back, or it is unclear whether they were.
    pub(crate) fn left(&self, range: TaskRange) {
        self.state().leaving.remove(range.lo(), range.hi());
    }

    /// Whether all of these are in hand.
    pub(crate) fn covers(&self, range: TaskRange) -> bool {
        self.state().held.gaps(range.lo(), range.hi()).is_empty()
    }

    /// How many ranges are in hand.
    pub(crate) fn len(&self) -> usize {
        self.state().held.runs().len()
    }

    /// Whether this may be forgotten: nothing is in hand, and nothing being given back.
    pub(crate) fn is_spent(&self) -> bool {
        let state = self.state();
        state.held.runs().len() + state.leaving.runs().len() == 0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(lo: u64, hi: u64) -> TaskRange {
        TaskRange::new(lo, hi).unwrap()
    }

    #[test]
    fn neighbours_are_one_range_and_what_was_let_go_can_be_taken_again() {
        let grip = Grip::default();
        assert!(grip.take(range(0, 10)) && grip.take(range(10, 20)));
        for known in [range(3, 5), range(9, 12), range(19, 30)] {
            assert!(!grip.take(known), "{known}");
        }
        assert_eq!(grip.begin_visit(), [range(0, 20)]);
        grip.end_visit();
        grip.let_go(range(5, 15));
        assert!(grip.covers(range(0, 5)) && !grip.covers(range(4, 6)));
        assert_eq!(
            (grip.begin_visit(), grip.len()),
            (vec![range(0, 5), range(15, 20)], 2)
        );
        assert!(grip.take(range(6, 7)));
    }

    #[test]
    fn what_is_being_given_back_is_named_until_it_was_or_is_leased_again() {
        let grip = Grip::default();
        assert!(grip.take(range(0, 10)));
        grip.leave(range(4, 10));
        assert!(!grip.covers(range(4, 5)) && grip.len() == 1);
        assert_eq!(grip.begin_visit(), [range(0, 10)]);
        assert!(grip.take(range(4, 6)));
        grip.end_visit();
        grip.let_go(range(0, 10));
        assert_eq!(grip.begin_visit(), [range(6, 10)]);
        grip.end_visit();
        grip.left(range(4, 10));
        assert!(grip.is_spent() && grip.begin_visit().is_empty());
    }

    #[test]
    fn an_answer_that_was_overtaken_brings_nothing() {
        let grip = Grip::default();
        assert!(grip.take(range(0, 10)));
        grip.begin_visit();
        grip.let_go(range(4, 6));
        grip.let_go(range(0, 10));
        assert!(!grip.take(range(5, 6)) && !grip.take(range(9, 12)));
        grip.end_visit();
        assert!(grip.take(range(5, 6)));
    }
}
