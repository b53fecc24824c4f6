//! What may stand in braces in the words of a command line.

use distjob_runtime::config;

/// One argument of a program, with places that are filled for each task.
pub type Argument = config::Argument<Placeholder>;

/// What may stand in braces in an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// `{task}`: the payload.
    Task,
    /// `{job}`: the job's id.
    Job,
    /// `{index}`: the task's index in the job.
    Index,
    /// `{attempt}`: from 1.
    Attempt,
    /// `{queue}`: the queue.
    Queue,
    /// `{key}`: the idempotency key.
    Key,
}

impl config::Placeholder for Placeholder {
    const ALL: &'static [Self] = &[
        Self::Task,
        Self::Job,
        Self::Index,
        Self::Attempt,
        Self::Queue,
        Self::Key,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Job => "job",
            Self::Index => "index",
            Self::Attempt => "attempt",
            Self::Queue => "queue",
            Self::Key => "key",
        }
    }
}
