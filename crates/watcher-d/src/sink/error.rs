//! Why a sink does not have a result.

use std::{error::Error, io, path::Path, time::Duration};

/// What could not be done, and to what; the source, if there is one, says why.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct SinkError {
    what: String,
    source: Option<Box<dyn Error + Send + Sync>>,
    retry_after: Option<Duration>,
}

impl SinkError {
    /// `what` fits after "failed to": `post the manifest to https://example.org`. It is logged and shown: no secrets.
    #[must_use]
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            source: None,
            retry_after: None,
        }
    }

    /// A failure at a path; `what` fits before it: `create the directory`.
    #[must_use]
    pub fn at(what: &str, path: &Path, why: io::Error) -> Self {
        Self::new(format!("{what} {}", path.display())).because(why)
    }

    /// The same, with what it came from.
    #[must_use]
    pub fn because(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            source: Some(source.into()),
            ..self
        }
    }

    /// The same, from a sink that asked not to be bothered again before this time has passed.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self {
            retry_after: Some(wait),
            ..self
        }
    }

    /// For how long it wants to be left alone, if it said so.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// All of it in one line, with the reasons.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = self.source();
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        text
    }
}
