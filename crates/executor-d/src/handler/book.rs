//! What became of the tasks of one lease so far.

use std::{collections::BTreeMap, time::Duration};

use distjob_core::{Packed, Record};
use tokio::time::Instant;

use crate::spans::Spans;

/// A task that waits for its next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// As which attempt it will be run, from 1.
    pub(crate) attempt: u32,
    /// When.
    pub(crate) due: Instant,
    /// Whether nothing else may share its process.
    pub(crate) alone: bool,
    /// Whether it is to be given back: nothing of its queue can be run here before it is due.
    pub(crate) elsewhere: bool,
}

/// The tasks of a lease whose outcomes are known, with those outcomes until they are handed over to be committed.
#[derive(Debug, Default)]
pub(crate) struct Book {
    /// Tasks with an outcome, and those that wait.
    settled: Spans,
    /// Outcomes that nobody has taken, by the first index of each run.
    pending: BTreeMap<u64, Packed>,
    /// Bytes of those,
    pending_bytes: usize,
    /// and of those that were taken and are not committed.
    taken_bytes: usize,
    /// Since when there is a pending one.
    since: Option<Instant>,
    /// Tasks that wait, by index.
    waiting: BTreeMap<u64, Waiting>,
    /// Set when nothing is noted any more.
    is_closed: bool,
    /// What was counted.
    tally: Tally,
}

/// What is counted of a lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Attempts that ended.
    pub(crate) tasks_run: u64,
    /// Those of them that are to be repeated.
    pub(crate) retries: u64,
    /// Those that took too long.
    pub(crate) timeouts: u64,
    /// How long a thread was busy with them.
    pub(crate) on_threads: Duration,
    /// When the first of the others began,
    pub(crate) first: Option<Instant>,
    /// and the last of them ended.
    pub(crate) last: Option<Instant>,
}

impl Tally {
    /// How long the tasks kept the slot busy.
    pub(crate) fn elapsed(&self) -> Duration {
        let span = self.first.zip(self.last);
        self.on_threads
            + span.map_or(Duration::ZERO, |(first, last)| {
                last.saturating_duration_since(first)
            })
    }
}

impl Book {
    /// Notes the outcome of a task. Nothing happens when it is known already, or the book is closed.
    pub(crate) fn note(&mut self, index: u64, record: Record<'_>, now: Instant) {
        if self.is_closed || !self.settled.insert(index, index + 1) {
            return;
        }
        // The usual case by far: it follows the one before.
        let ends_a_run = !self.pending.contains_key(&(index + 1));
        if let Some((lo, run)) = self.pending.range_mut(..index).next_back()
            && lo + run.count() == index
            && ends_a_run
        {
            let before = run.bytes().len();
            run.push_record(record);
            self.pending_bytes += run.bytes().len() - before;
            return;
        }
        let mut packed = Packed::default();
        packed.push_record(record);
        self.append(index, packed, now);
    }

    /// Notes the outcomes of a run of tasks that begins at `lo`. Nothing happens when one of them is known already, or
    /// the book is closed.
    pub(crate) fn note_run(&mut self, lo: u64, run: Packed, now: Instant) {
        if !self.is_closed && self.settled.insert(lo, lo + run.count()) {
            self.append(lo, run, now);
        }
    }

    fn append(&mut self, lo: u64, mut run: Packed, now: Instant) {
        self.since.get_or_insert(now);
        self.pending_bytes += run.bytes().len();
        let upto = lo + run.count();
        if let Some(right) = self.pending.remove(&upto) {
            run.append(&right);
        }
        let left = self.pending.range_mut(..lo).next_back();
        match left.filter(|(from, left)| **from + left.count() == lo) {
            Some((_, left)) => left.append(&run),
            None => {
                self.pending.insert(lo, run);
            }
        }
    }

    /// Notes that a task is to be run again.
    pub(crate) fn wait(&mut self, index: u64, waiting: Waiting) {
        if !self.is_closed && self.settled.insert(index, index + 1) {
            self.tally.retries += 1;
            self.waiting.insert(index, waiting);
        }
    }

    /// Hands over all outcomes that are pending.
    pub(crate) fn take(&mut self) -> BTreeMap<u64, Packed> {
        self.since = None;
        self.taken_bytes += std::mem::take(&mut self.pending_bytes);
        std::mem::take(&mut self.pending)
    }

    /// Gives every task that waits this outcome instead.
    pub(crate) fn wait_no_longer(&mut self, record: Record<'_>, now: Instant) -> u64 {
        let waiting = self.take_waiting();
        for index in waiting.keys() {
            let mut packed = Packed::default();
            packed.push_record(record);
            self.append(*index, packed, now);
        }
        waiting.len() as u64
    }

    /// Hands over the tasks that wait.
    pub(crate) fn take_waiting(&mut self) -> BTreeMap<u64, Waiting> {
        std::mem::take(&mut self.waiting)
    }

    /// Takes notice that outcomes of so many bytes were committed or refused.
    pub(crate) fn put_away(&mut self, bytes: usize) {
        self.taken_bytes -= bytes.min(self.taken_bytes);
    }

    /// Notes nothing any more.
    pub(crate) fn close(&mut self) {
        self.is_closed = true;
    }

    /// The runs of tasks in `lo..hi` of which nothing is known.
    pub(crate) fn unsettled(&self, lo: u64, hi: u64) -> Vec<(u64, u64)> {
        self.settled.gaps(lo, hi)
    }

    /// Bytes of pending outcomes.
    pub(crate) const fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    /// Bytes of all outcomes that are not committed.
    pub(crate) const fn bytes(&self) -> usize {
        self.pending_bytes + self.taken_bytes
    }

    /// Since when there are pending outcomes.
    pub(crate) const fn since(&self) -> Option<Instant> {
        self.since
    }

    /// The tasks that wait.
    pub(crate) const fn waiting(&self) -> &BTreeMap<u64, Waiting> {
        &self.waiting
    }

    /// What is counted.
    pub(crate) const fn tally_mut(&mut self) -> &mut Tally {
        &mut self.tally
    }

    /// What was counted.
    pub(crate) const fn tally(&self) -> &Tally {
        &self.tally
    }
}

#[cfg(test)]
mod tests {
    use distjob_core::{Outcome, outcome::unpack};
    use proptest::prelude::*;

    use super::*;

    fn value(index: &u64) -> [u8; 1] {
        [*index as u8]
    }

    proptest! {
        #[test]
        fn whatever_the_order_each_outcome_is_handed_over_once_in_the_fewest_runs(
            order in Just((0..30u64).collect::<Vec<_>>()).prop_shuffle(),
            waiting in prop::collection::btree_set(0..30u64, 0..5),
            takes in prop::collection::btree_set(0..30usize, 0..4),
        ) {
            let (mut book, mut taken) = (Book::default(), Vec::new());
            let now = Instant::now();
            for (turn, index) in order.iter().enumerate() {
                if waiting.contains(index) {
                    book.wait(*index, Waiting { attempt: 2, due: now, alone: false, elsewhere: false });
                } else {
                    book.note(*index, Outcome::Ok(&value(index)).into(), now);
                    // What comes twice changes nothing.
                    book.note(*index, Outcome::Err(b"again").into(), now);
                }
                if takes.contains(&turn) {
                    taken.extend(book.take());
                }
                prop_assert_eq!(book.since().is_some(), book.pending_bytes() > 0);
            }
            let last = book.take();
            prop_assert!(last.iter().zip(last.keys().skip(1)).all(|((lo, run), next)| lo + run.count() < *next));
            taken.extend(last);
            let mut seen: Vec<u64> = waiting.iter().copied().collect();
            for (lo, run) in &taken {
                for (index, record) in (*lo..).zip(unpack(run.bytes())) {
                    prop_assert_eq!(record.unwrap().outcome, Outcome::Ok(&value(&index)));
                    seen.push(index);
                }
            }
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..30).collect::<Vec<_>>());
            prop_assert_eq!(book.unsettled(0, 30), []);
            prop_assert_eq!(book.take_waiting().into_keys().collect::<Vec<_>>(), waiting.into_iter().collect::<Vec<_>>());
            book.put_away(taken.iter().map(|(_, run)| run.bytes().len()).sum());
            prop_assert_eq!(book.bytes(), 0);
        }
    }

    #[test]
    fn a_closed_book_takes_no_notice() {
        let (mut book, now) = (Book::default(), Instant::now());
        book.note(3, Outcome::Ok(b"3").into(), now);
        book.close();
        book.note(4, Outcome::Ok(b"4").into(), now);
        book.note_run(5, Packed::default(), now);
        assert_eq!(book.take().into_keys().collect::<Vec<_>>(), [3]);
        assert_eq!(book.unsettled(3, 6), [(4, 6)]);
    }
}
