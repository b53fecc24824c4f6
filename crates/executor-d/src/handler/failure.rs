//! Why a task has no value.

use std::{borrow::Cow, fmt, time::Duration};

pub use distjob_core::retry::Retry;

/// What a handler says of a task that has no value (yet).
///
/// ```
/// # use distjob_executor::handler::{Failure, Retry};
/// let failure = Failure::new("the picture is no JPEG").is_final();
/// assert_eq!((failure.message.as_ref(), failure.retry), ("the picture is no JPEG", Retry::Never));
/// assert_eq!(Failure::from("no answer").retry, Retry::Policy);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// What a person reads in the result, when it was the last attempt.
    pub message: Cow<'static, str>,
    /// The end of what the task wrote to its standard error; kept with the message.
    pub stderr: Vec<u8>,
    /// Whether there may be another attempt.
    pub retry: Retry,
    /// Whether the task was ended because it took too long. It is counted, no more.
    pub timed_out: bool,
}

impl Failure {
    /// A failure that is retried as the queue's policy has it.
    #[must_use]
    pub fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            message: message.into(),
            ..Self::default()
        }
    }

    /// The same, but never retried.
    #[must_use]
    pub fn is_final(self) -> Self {
        self.retry(Retry::Never)
    }

    /// The same, but retried like this.
    #[must_use]
    pub fn retry(self, retry: Retry) -> Self {
        Self { retry, ..self }
    }

    /// The same, with the end of what the task wrote to its standard error.
    #[must_use]
    pub fn with_stderr(self, stderr: Vec<u8>) -> Self {
        Self { stderr, ..self }
    }

    /// A task that was ended because it took longer than `limit`; retried as the policy has it.
    #[must_use]
    pub fn timed_out(limit: Duration) -> Self {
        Self {
            timed_out: true,
            ..Self::new(format!("took longer than {limit:?}"))
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<&'static str> for Failure {
    fn from(message: &'static str) -> Self {
        Self::new(message)
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::new(message)
    }
}
