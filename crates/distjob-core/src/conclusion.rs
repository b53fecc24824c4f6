//! What a job comes to in the end.

use std::{fmt, str::FromStr};

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
