//! What is remembered of jobs that could not be brought further at once.

use std::{collections::HashMap, time::Duration};

use distjob_core::{JobEntry, JobId, Zxid};

/// Failed attempts and rests, each for a job as it looked then. Forgotten when the job changes.
#[derive(Debug, Default)]
pub(crate) struct Attempts(HashMap<JobId, Attempt>);

#[derive(Debug)]
struct Attempt {
    life: Zxid,
    version: i32,
    failures: u32,
    /// When a sink first failed, since 1970.
    in_trouble_since: Option<Duration>,
    rested: bool,
}

impl Attempts {
    /// Notes a failure; how long to wait before the next attempt: `initial`, and twice as long each time, up to `max`.
    pub(crate) fn failed(
        &mut self,
        id: &JobId,
        entry: &JobEntry,
        initial: Duration,
        max: Duration,
    ) -> Duration {
        let attempt = self.of(id, entry);
        let delay = initial.saturating_mul(1 << attempt.failures.min(24)).min(max);
        attempt.failures = attempt.failures.saturating_add(1);
        delay
    }

    /// Notes that the job rests now, as it is.
    pub(crate) fn rests(&mut self, id: &JobId, entry: &JobEntry) {
        self.of(id, entry).rested = true;
    }

    /// Whether the job has rested as it is.
    pub(crate) fn has_rested(&self, id: &JobId, entry: &JobEntry) -> bool {
        self.0
            .get(id)
            .is_some_and(|attempt| attempt.rested && attempt.is_about(entry))
    }

    /// Notes that a sink failed, `now` since 1970: how often the job could not be brought further, and since when that is
    /// because of sinks.
    pub(crate) fn in_trouble(&mut self, id: &JobId, entry: &JobEntry, now: Duration) -> (u32, Duration) {
        let attempt = self.of(id, entry);
        (attempt.failures, *attempt.in_trouble_since.get_or_insert(now))
    }

    /// Forgets a job that was settled, or is gone; whether a sink had failed.
    pub(crate) fn forget(&mut self, id: &JobId) -> bool {
        let attempt = self.0.remove(id);
        attempt.is_some_and(|attempt| attempt.in_trouble_since.is_some())
    }

    fn of(&mut self, id: &JobId, entry: &JobEntry) -> &mut Attempt {
        let fresh = |in_trouble_since| Attempt {
            life: entry.life,
            version: entry.version,
            failures: 0,
            in_trouble_since,
            rested: false,
        };
        let attempt = self.0.entry(id.clone()).or_insert_with(|| fresh(None));
        if !attempt.is_about(entry) {
            *attempt = fresh(attempt.in_trouble_since);
        }
        attempt
    }
}

impl Attempt {
    fn is_about(&self, entry: &JobEntry) -> bool {
        (self.life, self.version) == (entry.life, entry.version)
    }
}

#[cfg(test)]
mod tests {
    use distjob_core::JobData;

    use super::*;

    fn entry(version: i32) -> JobEntry {
        let data = JobData::parse(b"prcd=1").unwrap();
        JobEntry {
            data,
            life: Zxid::new(1),
            version,
            created_ms: 0,
        }
    }

    #[test]
    fn waits_double_up_to_the_limit_and_begin_anew_when_the_job_changes() {
        let (initial, max) = (Duration::from_millis(200), Duration::from_secs(1));
        let id = JobId::new("a").unwrap();
        let mut attempts = Attempts::default();
        let mut failed = |version| {
            let delay = attempts.failed(&id, &entry(version), initial, max);
            u64::try_from(delay.as_millis()).unwrap()
        };
        assert_eq!(
            [failed(1), failed(1), failed(1), failed(1)],
            [200, 400, 800, 1000]
        );
        for _ in 0..100 {
            assert_eq!(failed(1), 1000);
        }
        assert_eq!(failed(2), 200);
    }

    #[test]
    fn a_rest_counts_only_for_the_job_as_it_was() {
        let id = JobId::new("a").unwrap();
        let mut attempts = Attempts::default();
        assert!(!attempts.has_rested(&id, &entry(1)));
        attempts.rests(&id, &entry(1));
        assert!(attempts.has_rested(&id, &entry(1)));
        assert!(!attempts.has_rested(&id, &entry(3)));
        attempts.forget(&id);
        assert!(!attempts.has_rested(&id, &entry(1)));
    }
}
