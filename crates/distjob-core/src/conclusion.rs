//! What a job comes to in the end.

use std::{fmt, str::FromStr};

use crate::Percent;

/// What the outcomes of its tasks, or its end without them, mean for a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Conclusion {
    /// As many tasks have a value as were to have one.
    Succeeded,
    /// Too many tasks failed for a success, too few for a failure.
    PartlyFailed,
    /// As good as nothing came of it.
    Failed,
    /// It was given up, and nothing was delivered. Only tombstones say so: a cancelled job has a state of its own.
    Cancelled,
}

impl Conclusion {
    /// All of them, the best first.
    pub const ALL: [Self; 4] = [Self::Succeeded, Self::PartlyFailed, Self::Failed, Self::Cancelled];

    /// The word for it, in the ledger, the store, manifests, reports and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::PartlyFailed => "partly-failed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for Conclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Conclusion {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|conclusion| conclusion.as_str() == word)
            .ok_or("is none of succeeded, partly-failed, failed, cancelled")
    }
}

/// How a job ended, as its tombstone tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ending {
    /// How many tasks it had.
    pub count: u64,
    /// How many of them failed; 0 of a cancelled job, whatever became of its tasks.
    pub failed: u64,
    /// What it came to.
    pub conclusion: Conclusion,
}

/// From how many failed tasks on a job is how bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Policy {
    /// So many tasks may fail in a job that [succeeded](Conclusion::Succeeded) all the same.
    pub tolerate: Percent,
    /// With more than these it has [failed](Conclusion::Failed) when so many did, and otherwise
    /// [partly](Conclusion::PartlyFailed).
    pub failed_from: Percent,
}

impl Default for Policy {
    /// Every failed task matters, and only when all of them failed the job did.
    fn default() -> Self {
        Self {
            tolerate: Percent::ZERO,
            failed_from: Percent::ALL,
        }
    }
}

impl Policy {
    /// What a job of `count` tasks came to, `failed` of which failed. One in which nothing failed has succeeded, also
    /// when it had no tasks.
    #[must_use]
    pub fn conclude(&self, count: u64, failed: u64) -> Conclusion {
        if failed == 0 || self.tolerate.covers(failed, count) {
            Conclusion::Succeeded
        } else if self.failed_from.is_reached(failed, count) {
            Conclusion::Failed
        } else {
            Conclusion::PartlyFailed
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn policy(tolerate: &str, failed_from: &str) -> Policy {
        Policy {
            tolerate: tolerate.parse().unwrap(),
            failed_from: failed_from.parse().unwrap(),
        }
    }

    #[test]
    fn unless_told_otherwise_any_failure_is_a_part_and_only_all_are_the_whole() {
        let conclude = |failed| Policy::default().conclude(100, failed);
        assert_eq!(conclude(0), Conclusion::Succeeded);
        assert_eq!(conclude(1), Conclusion::PartlyFailed);
        assert_eq!(conclude(99), Conclusion::PartlyFailed);
        assert_eq!(conclude(100), Conclusion::Failed);
        assert_eq!(Policy::default().conclude(0, 0), Conclusion::Succeeded);
    }

    #[test]
    fn thresholds_count_exactly() {
        let strict = policy("2.5%", "50%");
        for (failed, conclusion) in [
            (25, Conclusion::Succeeded),
            (26, Conclusion::PartlyFailed),
            (499, Conclusion::PartlyFailed),
            (500, Conclusion::Failed),
        ] {
            assert_eq!(strict.conclude(1000, failed), conclusion, "{failed}");
        }
        assert_eq!(policy("0%", "0%").conclude(1000, 1), Conclusion::Failed);
        assert_eq!(policy("0%", "0%").conclude(1000, 0), Conclusion::Succeeded);
        assert_eq!(policy("100%", "100%").conclude(3, 3), Conclusion::Succeeded);
    }

    #[test]
    fn every_conclusion_is_read_from_its_word() {
        for conclusion in Conclusion::ALL {
            assert_eq!(conclusion.to_string().parse(), Ok(conclusion));
        }
        assert!("Succeeded".parse::<Conclusion>().is_err());
    }

    proptest! {
        #[test]
        fn more_failures_are_never_better(tolerate in 0..=100_u32, failed_from in 0..=100_u32, count in 1..5000_u64, failed in 0..5000_u64) {
            let policy = policy(&format!("{tolerate}%"), &format!("{failed_from}%"));
            let failed = failed.min(count - 1);
            prop_assert!(policy.conclude(count, failed) <= policy.conclude(count, failed + 1));
        }
    }
}
