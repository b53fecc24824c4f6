//! `[sink]` and `[sinks.<name>]`: where results go.

use std::{path::PathBuf, time::Duration};

use distjob_runtime::config::{Problems, duration};
use serde::{Deserialize, Serialize};

/// One place where results go: every key of `[sink]`, with what `[sinks.<name>]` says instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SinkConfig {
    /// What it is.
    pub kind: SinkKind,
    /// For [`SinkKind::Directory`]: the directory of result files.
    pub directory: PathBuf,
    /// How long a delivery may make no progress.
    #[serde(with = "duration")]
    pub timeout: Duration,
}

/// What a sink is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SinkKind {
    /// Files on this machine.
    Directory,
}

impl SinkConfig {
    pub(super) fn check(&self, table: &str, problems: &mut Problems<'_>) {
        problems.require(
            &format!("{table}.directory"),
            !self.directory.as_os_str().is_empty(),
            "must not be empty",
        );
        problems.require(
            &format!("{table}.timeout"),
            self.timeout >= Duration::from_secs(1),
            "must be at least 1s",
        );
    }
}
