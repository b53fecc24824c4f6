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

impl Kept {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.harvests.len()
    }

    /// How many bytes they have.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Keeps a result, at most `results_max` with `bytes_max` bytes (0: no bound). Returns what is not kept: this one, when
    /// there is no room for it, or a former one of the job.
    #[must_use]
    pub(super) fn put(
        &mut self,
        id: &JobId,
        harvest: Harvest,
        results_max: usize,
        bytes_max: u64,
    ) -> Option<Harvest> {
        let former = self.take(id);
        let bytes = self.bytes + harvest.bytes();
        if self.harvests.len() >= results_max || (bytes_max > 0 && bytes > bytes_max) {
            return Some(harvest);
        }
        self.bytes = bytes;
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
