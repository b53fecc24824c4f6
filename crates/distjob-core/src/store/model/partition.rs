//! The first invariant: `[0, n)` is exactly committed, leased, freed and unreached, without gap or overlap.

use super::{MetaState, Model};
use crate::TaskRange;

/// How the pieces of a job fail to be a partition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PartitionViolation {
    /// Two pieces hold the same task.
    #[error("{0} overlaps what ends at {1}")]
    Overlap(TaskRange, u64),
    /// No piece holds these tasks.
    #[error("nothing holds {0}")]
    Gap(TaskRange),
    /// The pieces go past the last task.
    #[error("the pieces end at {0} instead of {1}")]
    End(u64, u64),
    /// The counter of committed tasks is not what the results hold.
    #[error("{counted} tasks are counted as committed, {recorded} have an outcome")]
    Counted {
        /// By the counter.
        counted: u64,
        /// By the results.
        recorded: u64,
    },
    /// The number of payloads is not the number of tasks.
    #[error("there are {0} payloads for {1} tasks")]
    Payloads(u64, u64),
    /// Keys of a job that was dropped or never opened.
    #[error("a job that is not open has keys left")]
    Leftovers,
}

impl Model {
    /// Checks the partition of an open job, and that nothing is left of any other.
    ///
    /// # Errors
    /// With the first violation, in index order.
    pub fn partition(&self) -> Result<(), PartitionViolation> {
        let Some(meta) = self.meta.as_ref().filter(|meta| meta.state == MetaState::Open) else {
            let empty = self.tasks.is_empty()
                && self.leases.is_empty()
                && self.freed.is_empty()
                && self.results.is_empty();
            return if empty {
                Ok(())
            } else {
                Err(PartitionViolation::Leftovers)
            };
        };
        if self.tasks.len() as u64 != meta.count {
            return Err(PartitionViolation::Payloads(self.tasks.len() as u64, meta.count));
        }
        let committed = self
            .results
            .iter()
            .filter_map(|(lo, (upto, _))| TaskRange::new(*lo, *upto));
        let recorded = committed.clone().map(TaskRange::len).sum();
        if recorded != meta.committed {
            return Err(PartitionViolation::Counted {
                counted: meta.committed,
                recorded,
            });
        }
        let held = self
            .leases
            .values()
            .flatten()
            .chain(&self.freed)
            .map(|lease| lease.range);
        let unreached = TaskRange::new(meta.cursor, meta.count);
        contiguous(committed.chain(held).chain(unreached).collect(), meta.count)
    }
}

fn contiguous(mut pieces: Vec<TaskRange>, count: u64) -> Result<(), PartitionViolation> {
    pieces.sort();
    let mut next = 0;
    for piece in pieces {
        if piece.lo() < next {
            return Err(PartitionViolation::Overlap(piece, next));
        }
        if let Some(gap) = TaskRange::new(next, piece.lo()) {
            return Err(PartitionViolation::Gap(gap));
        }
        next = piece.hi();
    }
    match TaskRange::new(next, count) {
        Some(gap) => Err(PartitionViolation::Gap(gap)),
        None if next > count => Err(PartitionViolation::End(next, count)),
        None => Ok(()),
    }
}
