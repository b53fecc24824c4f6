//! The states of a job.

use std::fmt;

/// How far a job has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobState {
    /// `subm`: executors may take its tasks.
    Submitted,
    /// `prcd`: a watcher should look at it. No more than that.
    Processed,
    /// `zpd`: its archive is durable.
    Zipped,
    /// `uploaded`: every sink has it; what is left is to clean up.
    Uploaded,
    /// `cncl`: an operator, or its own submitter, gave it up.
    Cancelled,
    /// `lost`: Redis lost its data. Stays until an operator decides.
    Lost,
}

impl JobState {
    /// All states, in the order of a job's life.
    pub const ALL: [Self; 6] = [
        Self::Submitted,
        Self::Processed,
        Self::Zipped,
        Self::Uploaded,
        Self::Cancelled,
        Self::Lost,
    ];

    /// The word in the znode.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Submitted => "subm",
            Self::Processed => "prcd",
            Self::Zipped => "zpd",
            Self::Uploaded => "uploaded",
            Self::Cancelled => "cncl",
            Self::Lost => "lost",
        }
    }

    /// Whether a watcher has something to do for a job in this state.
    #[must_use]
    pub const fn is_for_watchers(self) -> bool {
        matches!(
            self,
            Self::Processed | Self::Zipped | Self::Uploaded | Self::Cancelled
        )
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
