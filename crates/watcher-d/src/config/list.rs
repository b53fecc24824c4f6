//! `[sink.redis]`: a list or a stream in the store's Redis.

use std::time::Duration;

use distjob_runtime::config::{Problems, duration};
use serde::{Deserialize, Serialize};

/// Where entries go, and what they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListConfig {
    /// The key, as it stands: the store's prefix is not put before it.
    pub key: String,
    /// What is there, or is made there.
    #[serde(rename = "type")]
    pub kind: ListKind,
    /// What an entry is.
    pub what: Entries,
    /// So many entries are kept, or, of a stream, about so many; 0: all.
    pub max_length: u64,
    /// How long it is remembered that a result is there.
    #[serde(with = "duration")]
    pub remember: Duration,
}

/// What entries are put into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ListKind {
    /// A list, at its right end.
    List,
    /// A stream.
    Stream,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Entries {
    /// One a job: its manifest.
    Manifest,
    /// One a line of the result.
    Line,
}

impl ListConfig {
    /// Reports what cannot be used.
    pub(super) fn check(&self, table: &str, problems: &mut Problems<'_>) {
        problems.require(
            &format!("{table}.remember"),
            self.remember >= Duration::from_secs(3600),
            "must be at least 1h: it has to outlast every pause and every delay",
        );
    }
}
