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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Holder, MemberName, Outcome, Packed, Source, Zxid,
        store::{Claim, ClaimRequest, CommitRequest, Isolated, model::Part},
    };

    const LIFE: Zxid = Zxid::new(1);

    fn holder(name: &str) -> Holder {
        Holder {
            born: Zxid::new(1),
            name: MemberName::new(name).unwrap(),
        }
    }

    fn claim(model: &mut Model, holder: &Holder) {
        let request = ClaimRequest {
            life: LIFE,
            holder,
            want: 2,
            bytes_max: 100,
            isolate: 2,
            isolated: Isolated::Leave,
            held: &[TaskRange::new(0, 6).unwrap()],
        };
        assert!(matches!(model.claim(&request), Claim::Lease(_)));
    }

    /// Ten tasks: 0 committed, 1..2 leased, 2..4 freed, 4..10 unreached.
    fn in_all_pieces() -> Model {
        let mut model = Model::default();
        model.sources.insert(Source::Plain, vec![Vec::new(); 10]);
        model.open(LIFE, 10, &Source::Plain);
        let (a, b) = (holder("a"), holder("b"));
        claim(&mut model, &a);
        claim(&mut model, &b);
        model.free(LIFE, &b, 1);
        let mut outcomes = Packed::default();
        outcomes.push(Outcome::Ok(b"true"));
        let commit = model.commit(&CommitRequest {
            life: LIFE,
            holder: &a,
            lo: 0,
            outcomes: &outcomes,
        });
        assert!(commit.accepted);
        model
    }

    #[test]
    fn every_step_keeps_the_partition_and_every_loss_is_noticed() {
        assert_eq!(in_all_pieces().partition(), Ok(()));
        let after = |part| {
            let mut model = in_all_pieces();
            model.lose(part);
            model.partition()
        };
        let range = |lo, hi| TaskRange::new(lo, hi).unwrap();
        assert_eq!(after(Part::Meta), Err(PartitionViolation::Leftovers));
        assert_eq!(after(Part::Tasks), Err(PartitionViolation::Payloads(0, 10)));
        assert_eq!(after(Part::Leases), Err(PartitionViolation::Gap(range(1, 2))));
        assert_eq!(after(Part::Freed), Err(PartitionViolation::Gap(range(2, 4))));
        let uncounted = PartitionViolation::Counted {
            counted: 1,
            recorded: 0,
        };
        assert_eq!(after(Part::Results), Err(uncounted));
    }

    #[test]
    fn a_task_in_two_pieces_is_noticed() {
        let mut model = in_all_pieces();
        let freed = model.freed[0];
        model.leases.insert(holder("c"), vec![freed]);
        let overlap = PartitionViolation::Overlap(freed.range, freed.range.hi());
        assert_eq!(model.partition(), Err(overlap));
        model.drop_job(LIFE, &Source::Plain, None);
        assert_eq!(model.partition(), Ok(()));
    }
}
