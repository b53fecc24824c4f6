//! Tasks and outcomes, brought together and checked.

use super::Loss;
use crate::{
    outcome::{Account, Outcome, Record, unpack},
    store::Slice,
};

/// One task of a complete job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// Its index in the job.
    pub index: u64,
    /// Its payload.
    pub task: &'a [u8],
    /// What became of it.
    pub outcome: Outcome<'a>,
    /// What that took, when somebody kept count.
    pub account: Option<Account>,
    /// The end of what a failed task wrote to its standard error.
    pub stderr: &'a [u8],
}

/// How far a job has been read: the next index that is due, up to the number of its tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Progress {
    next: u64,
    count: u64,
}

impl Progress {
    /// Nothing was read of a job of `count` tasks.
    #[must_use]
    pub const fn new(count: u64) -> Self {
        Self { next: 0, count }
    }

    /// The first index that was not read.
    #[must_use]
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// Whether every index was read.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.next == self.count
    }

    /// Goes on by a slice, which must begin where the one before ended, have no gap, and end with the job at the latest.
    ///
    /// # Errors
    /// Where it does not.
    pub fn advance(&mut self, slice: &Slice) -> Result<(), Loss> {
        let from = self.next;
        for chunk in &slice.chunks {
            if chunk.range.lo() != self.next {
                return Err(Loss::Hole(self.next));
            }
            if chunk.range.hi() > self.count {
                return Err(Loss::Corrupt(self.next));
            }
            self.next = chunk.range.hi();
        }
        if self.next == from {
            return Err(Loss::Hole(from));
        }
        if slice.tasks.len() as u64 == self.next - from {
            Ok(())
        } else {
            Err(Loss::Short)
        }
    }
}

/// Hands each task of the slice, in order, to `write`.
///
/// # Errors
/// The first of `write`'s own, and [`Loss::Corrupt`] at a chunk that does not unpack into exactly one outcome for each
/// of its tasks; some of its rows may have been handed out by then.
pub fn each_row<E: From<Loss>>(
    slice: &Slice,
    mut write: impl FnMut(Row<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut tasks = slice.tasks.iter();
    for chunk in &slice.chunks {
        let corrupt = || E::from(Loss::Corrupt(chunk.range.lo()));
        let mut outcomes = unpack(&chunk.packed);
        for index in chunk.range.lo()..chunk.range.hi() {
            let record = outcomes.next().and_then(Result::ok).ok_or_else(corrupt)?;
            let task = tasks.next().ok_or_else(|| E::from(Loss::Short))?;
            let Record {
                outcome,
                account,
                stderr,
            } = record;
            write(Row {
                index,
                task,
                outcome,
                account,
                stderr,
            })?;
        }
        if outcomes.next().is_some() {
            return Err(corrupt());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Packed, TaskRange, store::Chunk};

    /// A slice of chunks `[lo, hi)` whose outcomes are the tasks themselves.
    fn slice(ranges: &[(u64, u64)]) -> Slice {
        let mut tasks = Vec::new();
        let chunk = |&(lo, hi): &(u64, u64)| {
            let mut packed = Packed::default();
            for index in lo..hi {
                let text = index.to_string().into_bytes();
                packed.push(Outcome::Ok(&text));
                tasks.push(text);
            }
            Chunk {
                range: TaskRange::new(lo, hi).unwrap(),
                packed: packed.bytes().to_vec(),
            }
        };
        Slice {
            chunks: ranges.iter().map(chunk).collect(),
            tasks: tasks.iter().collect(),
        }
    }

    fn indexes(slice: &Slice) -> Result<Vec<u64>, Loss> {
        let mut indexes = Vec::new();
        each_row(slice, |row| {
            assert_eq!(row.outcome.bytes(), row.task);
            assert_eq!(row.task, row.index.to_string().as_bytes());
            indexes.push(row.index);
            Ok::<_, Loss>(())
        })
        .map(|()| indexes)
    }

    #[test]
    fn a_job_is_complete_when_every_index_came_once_in_order() {
        let mut progress = Progress::new(6);
        assert!(!progress.is_complete());
        progress.advance(&slice(&[(0, 2), (2, 3)])).unwrap();
        assert_eq!(progress.next(), 3);
        progress.advance(&slice(&[(3, 6)])).unwrap();
        assert!(progress.is_complete());
        assert!(Progress::new(0).is_complete());
    }

    #[test]
    fn a_slice_that_leaves_out_repeats_or_exceeds_is_refused() {
        let advance = |ranges: &[(u64, u64)]| Progress { next: 3, count: 6 }.advance(&slice(ranges));
        assert_eq!(advance(&[(4, 6)]), Err(Loss::Hole(3)));
        assert_eq!(advance(&[(0, 3)]), Err(Loss::Hole(3)));
        assert_eq!(advance(&[(3, 4), (5, 6)]), Err(Loss::Hole(4)));
        assert_eq!(advance(&[(3, 5), (4, 6)]), Err(Loss::Hole(5)));
        assert_eq!(advance(&[(3, 5), (5, 7)]), Err(Loss::Corrupt(5)));
        assert_eq!(advance(&[]), Err(Loss::Hole(3)));
        let mut short = slice(&[(3, 6)]);
        short.tasks = short.tasks.iter().skip(1).collect();
        assert_eq!(Progress { next: 3, count: 6 }.advance(&short), Err(Loss::Short));
    }

    #[test]
    fn rows_pair_tasks_with_outcomes_across_chunks() {
        assert_eq!(
            indexes(&slice(&[(3, 5), (5, 6), (6, 9)])),
            Ok(vec![3, 4, 5, 6, 7, 8])
        );
    }

    #[test]
    fn a_chunk_with_too_few_too_many_or_unreadable_outcomes_is_corrupt() {
        let damage = |packed: &[u8]| {
            let mut slice = slice(&[(3, 5), (5, 7)]);
            slice.chunks[1].packed = packed.to_vec();
            indexes(&slice)
        };
        assert_eq!(damage(b"\x045\x046"), Ok(vec![3, 4, 5, 6]));
        assert_eq!(damage(b"\x045"), Err(Loss::Corrupt(5)));
        assert_eq!(damage(b"\x045\x046\x047"), Err(Loss::Corrupt(5)));
        assert_eq!(damage(b"\x045\x08"), Err(Loss::Corrupt(5)));
        assert_eq!(damage(b"\x045\x046\xff"), Err(Loss::Corrupt(5)));
        assert_eq!(damage(b""), Err(Loss::Corrupt(5)));
    }
}
