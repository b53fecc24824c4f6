//! Handlers run at least once; where nothing goes wrong they run exactly once.

use super::Evidence;

pub(super) fn check(evidence: &Evidence) -> Vec<String> {
    if !evidence.is_fair() {
        return Vec::new();
    }
    let executions = evidence.executions.iter();
    executions
        .filter(|((submission, index), count)| **count != evidence.plan.runs(*submission, *index))
        .map(|((submission, index), count)| {
            format!("task {index} of submission {submission} ran {count} times")
        })
        .collect()
}

impl Evidence {
    /// Whether nothing went wrong, and nobody meddled.
    fn is_fair(&self) -> bool {
        let mut submissions = self.plan.submissions.iter();
        let ends_early = submissions.any(|one| one.dies_after_ms.is_some() || one.deadline_ms.is_some());
        let aborts = self.plan.settings.abort_after_percent > 0;
        self.plan.strikes.is_empty() && !ends_early && !aborts && self.cancelled.is_empty()
    }

    /// How often tasks were run beyond the attempts that they need.
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        let executions = self.executions.iter();
        let more = executions.map(|((submission, index), count)| {
            let needed = self.plan.runs(*submission, *index);
            u64::from(count.saturating_sub(needed))
        });
        more.sum()
    }
}
