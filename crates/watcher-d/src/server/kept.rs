//! Results that wait in the spool for another attempt.

use std::collections::HashMap;

use distjob_core::{JobEntry, JobId};

use crate::pipeline::Harvest;

/// What was collected and could not be delivered yet, a bounded number of results.
#[derive(Debug, Default)]
pub(super) struct Kept {
    harvests: HashMap<JobId, Harvest>,
    bytes: u64,
}

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Results.
    pub(super) results: usize,
    /// Bytes in the spool; 0: no bound.
    pub(super) bytes: u64,
}

impl Bounds {
    /// Whether a result of so many bytes is one too many where there are `in_spool` with it. One that a sink has taken is none.
    const fn are_passed(self, bytes: u64, in_spool: u64) -> bool {
        self.bytes > 0 && bytes > 0 && in_spool > self.bytes
    }
}

impl Kept {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.harvests.len()
    }

    /// How many bytes they have.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Keeps a result within these bounds, when there are `in_spool` bytes in the spool, this one's and those that are on their
    /// way among them. Returns what is not kept: this one, when there is no room for it, or a former one of the job.
    #[must_use]
    pub(super) fn put(
        &mut self,
        id: &JobId,
        harvest: Harvest,
        bounds: Bounds,
        in_spool: u64,
    ) -> Option<Harvest> {
        let former = self.take(id);
        if self.harvests.len() >= bounds.results || bounds.are_passed(harvest.bytes(), in_spool) {
            return Some(harvest);
        }
        self.bytes += harvest.bytes();
        self.harvests.insert(id.clone(), harvest);
        former
    }

    /// Hands out the result of a job.
    pub(super) fn take(&mut self, id: &JobId) -> Option<Harvest> {
        let harvest = self.harvests.remove(id)?;
        self.bytes -= harvest.bytes();
        Some(harvest)
    }

    /// Takes notice of what a job looks like (`None`: it is gone). Returns its result when that is of no use any more.
    #[must_use]
    pub(super) fn see(&mut self, id: &JobId, entry: Option<&JobEntry>) -> Option<Harvest> {
        let harvest = self.harvests.get(id)?;
        match entry {
            Some(entry) if !harvest.is_outdated_by(entry) => None,
            _ => self.take(id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_on_their_way_take_the_room_of_those_that_would_wait() {
        let bounds = Bounds {
            results: 64,
            bytes: 1000,
        };
        assert!(!bounds.are_passed(400, 1000));
        assert!(bounds.are_passed(400, 1001));
        // What has left the spool takes no room there.
        assert!(!bounds.are_passed(0, 5000));
        let unbounded = Bounds { bytes: 0, ..bounds };
        assert!(!unbounded.are_passed(400, u64::MAX));
    }
}
