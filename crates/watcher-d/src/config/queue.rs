//! `[queue]` and `[queues.<name>]`: what is done with the results of a queue.

use distjob_core::{Percent, SinkName, conclusion::Policy};
use distjob_runtime::config::Problems;
use serde::{Deserialize, Serialize};

use super::then::Steps;
use crate::{archive::Archive, format::Format, name::NameTemplate};

/// What is done with the results of one queue: every key of `[queue]`, with what `[queues.<name>]` says instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueConfig {
    /// So many tasks may fail in a job that succeeded all the same.
    pub tolerate: Percent,
    /// From so many on the job failed.
    pub failed_from: Percent,
    /// How tasks and outcomes are written.
    pub format: Format,
    /// What that is packed in.
    pub archive: Archive,
    /// How hard it is packed; 0: as the archive's format does by itself.
    pub level: u32,
    /// How results are called, in every sink.
    pub name: NameTemplate,
    /// Where they go: all of them must have a result before its job is done.
    pub sinks: Vec<SinkName>,
    /// The jobs that follow its jobs, by the names of their steps.
    // Absent in the template: steps are said of one queue.
    #[serde(default, skip_serializing_if = "Steps::is_empty")]
    pub then: Steps,
}

impl QueueConfig {
    /// From how many failed tasks on a job of this queue is how bad.
    #[must_use]
    pub const fn policy(&self) -> Policy {
        Policy {
            tolerate: self.tolerate,
            failed_from: self.failed_from,
        }
    }

    pub(super) fn check(&self, table: &str, problems: &mut Problems<'_>) {
        problems.require(
            &format!("{table}.failed_from"),
            self.failed_from >= self.tolerate,
            format_args!("must be at least {table}.tolerate, which is {}", self.tolerate),
        );
        let max = self.archive.level_max();
        problems.require(
            &format!("{table}.level"),
            self.level <= max,
            format_args!("must be from 0 to {max} with the archive that {table}.archive names"),
        );
        problems.require(
            &format!("{table}.sinks"),
            !self.sinks.is_empty(),
            "must name at least one sink",
        );
    }
}
