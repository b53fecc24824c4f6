//! How many jobs are in which state, as far as this watcher has seen.

use std::collections::HashMap;

use distjob_core::{JobId, JobState};

/// The state of every job in the ledger, counted.
#[derive(Debug, Default)]
pub(crate) struct Census {
    states: HashMap<JobId, JobState>,
    counts: [i64; JobState::ALL.len()],
}

impl Census {
    /// Takes notice of a job's state (`None`: it is gone).
    pub(crate) fn see(&mut self, id: &JobId, state: Option<JobState>) {
        let before = match state {
            Some(state) => self.states.insert(id.clone(), state),
            None => self.states.remove(id),
        };
        for (state, change) in [(before, -1), (state, 1)] {
            if let Some(state) = state {
                self.counts[state as usize] += change;
            }
        }
    }

    /// How many jobs are in each state.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (JobState, i64)> {
        JobState::ALL.into_iter().zip(self.counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_counts_once_in_the_state_that_was_seen_last() {
        let mut census = Census::default();
        let (a, b) = (JobId::new("a").unwrap(), JobId::new("b").unwrap());
        census.see(&a, Some(JobState::Submitted));
        census.see(&b, Some(JobState::Submitted));
        census.see(&a, Some(JobState::Lost));
        census.see(&b, None);
        census.see(&b, None);
        for (state, count) in census.counts() {
            assert_eq!(count, i64::from(state == JobState::Lost), "{state}");
        }
    }
}
