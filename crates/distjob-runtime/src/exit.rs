//! With which status a program ends.
//!
//! | status | meaning |
//! |---|---|
//! | 0 | success |
//! | 1 | failure |
//! | 2 | wrong usage of the command line |
//! | 3 | a part of it failed: so far only `distjobctl wait` ends so |
//! | 69 | a store stayed unreachable (`EX_UNAVAILABLE`) |
//! | 75 | another run is at it (`EX_TEMPFAIL`): so far only `submitter once --lock` ends so |
//! | 78 | bad configuration (`EX_CONFIG`) |
//!
//! Errors travel as [`anyhow::Error`]; what is to end with a status of its own carries the mark for it:
//!
//! ```
//! use anyhow::{Context as _, anyhow};
//! use distjob_runtime::exit::{Status, StoreUnreachable};
//!
//! let error = anyhow!("connection refused").context(StoreUnreachable("redis")).context("push tasks");
//! assert_eq!(Status::of(&error), Status::Unreachable);
//! assert_eq!(format!("{error:#}"), "push tasks: redis stayed unreachable: connection refused");
//! ```

use std::process::ExitCode;

use crate::config::ConfigError;

/// The status with which a program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// All went well.
    Success = 0,
    /// It did not.
    Failure = 1,
    /// A part of it failed.
    Partial = 3,
    /// A store stayed unreachable for as long as the program was to wait.
    Unreachable = 69,
    /// Another run is at it: nothing was done, and later it may be.
    Busy = 75,
    /// The configuration is bad.
    Config = 78,
}

/// The mark of errors for want of a store, `zookeeper` or `redis`; give it as a context, or make it the source of an
/// error of your own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} stayed unreachable")]
pub struct StoreUnreachable(pub &'static str);

impl Status {
    /// The status that belongs to this error.
    #[must_use]
    pub fn of(error: &anyhow::Error) -> Self {
        if marked::<StoreUnreachable>(error) {
            Self::Unreachable
        } else if marked::<ConfigError>(error) {
            Self::Config
        } else {
            Self::Failure
        }
    }
}

/// Whether an `E` is among the contexts of the error or among its causes.
fn marked<E: std::error::Error + Send + Sync + 'static>(error: &anyhow::Error) -> bool {
    error.downcast_ref::<E>().is_some() || error.chain().any(|cause| cause.downcast_ref::<E>().is_some())
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status as u8)
    }
}

#[cfg(test)]
mod tests {
    use anyhow::{Context as _, anyhow};

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("failed to count")]
    struct Wrapped(#[source] StoreUnreachable);

    #[test]
    fn a_mark_is_found_as_a_context_as_a_cause_and_as_the_error_itself() {
        let as_context = anyhow!("refused")
            .context(StoreUnreachable("redis"))
            .context("push tasks");
        let as_cause = Err::<(), _>(Wrapped(StoreUnreachable("zookeeper")))
            .context("count")
            .unwrap_err();
        let itself = anyhow::Error::from(StoreUnreachable("redis"));
        for error in [as_context, as_cause, itself] {
            assert_eq!(Status::of(&error), Status::Unreachable, "{error:?}");
        }
        let config = anyhow::Error::from(ConfigError::new("bad")).context("reload");
        assert_eq!(Status::of(&config), Status::Config);
        assert_eq!(Status::of(&anyhow!("other")), Status::Failure);
    }
}
