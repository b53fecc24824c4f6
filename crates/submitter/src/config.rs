//! The program's configuration, `config/submitter.toml`.

use std::{collections::BTreeMap, time::Duration};

use distjob_core::QueueName;
use distjob_runtime::config::{
    AdminConfig, LogConfig, Problems, RedisConfig, Settings, Template, ZooKeeperConfig, duration, size,
};
use serde::{Deserialize, Serialize};

use crate::run::config::{QueueConfig, RELOADABLE, RunConfig};

/// The file as it is shipped: documentation and default.
pub const EMBEDDED_CONFIG: &str = include_str!("../../../config/submitter.toml");

/// The largest task that may be allowed: half of what Redis takes as one string.
const TASK_BYTES_MAX: u64 = 256 << 20;

/// The largest batch that may be configured, in bytes: a few of them are in memory at once.
const BATCH_BYTES_MAX: u64 = 64 << 20;

/// The most tasks in a batch that may be configured.
const BATCH_TASKS_MAX: u64 = 1_000_000;

/// The whole file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The ledger.
    pub zookeeper: ZooKeeperConfig,
    /// The store.
    pub redis: RedisConfig,
    /// What goes to stderr.
    pub log: LogConfig,
    /// Metrics and health of the service.
    pub admin: AdminConfig,
    /// The submitter itself.
    pub submitter: SubmitterConfig,
    /// When the service closes a job, for every queue that says nothing else. Not for use: see [`Self::of_queue`].
    pub queue: QueueConfig,
    /// The queues that something is said of, complete. Not for use: see [`Self::of_queue`].
    // Absent only where the shipped file is read past the loader: then all are as `queue` says.
    #[serde(default)]
    pub queues: BTreeMap<QueueName, QueueConfig>,
    /// The service.
    pub run: RunConfig,
}

impl Config {
    /// When the service closes a job of this queue.
    #[must_use]
    pub fn of_queue(&self, queue: &QueueName) -> &QueueConfig {
        self.queues.get(queue).unwrap_or(&self.queue)
    }
}

/// `[submitter]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubmitterConfig {
    /// The queue of a job when none is named.
    pub queue: QueueName,
    /// How long a store may stay away.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// Most bytes in one push, unless a single task has more.
    #[serde(with = "size")]
    pub push_max_bytes: u64,
    /// Most tasks in one push.
    pub push_max_tasks: u64,
    /// Most bytes in a task.
    #[serde(with = "size")]
    pub max_task_bytes: u64,
    /// How long pushed tasks live without a sign of life of their submitter; whole seconds count.
    #[serde(with = "duration")]
    pub staging_ttl: Duration,
}

impl Settings for Config {
    const RELOADABLE: &'static [&'static str] = RELOADABLE;
    const TEMPLATES: &'static [Template] = &[Template {
        defaults: "queue",
        instances: "queues",
        listed: None,
    }];

    fn check(&self, problems: &mut Problems<'_>) {
        self.zookeeper.check(problems);
        self.redis.check(problems);
        self.log.check(problems);
        let SubmitterConfig {
            push_max_bytes,
            push_max_tasks,
            max_task_bytes,
            staging_ttl,
            ..
        } = &self.submitter;
        problems.require(
            "submitter.push_max_bytes",
            (1..=BATCH_BYTES_MAX).contains(push_max_bytes),
            "must be from 1B to 64MiB",
        );
        problems.require(
            "submitter.push_max_tasks",
            (1..=BATCH_TASKS_MAX).contains(push_max_tasks),
            "must be from 1 to 1000000",
        );
        problems.require(
            "submitter.max_task_bytes",
            (1..=TASK_BYTES_MAX).contains(max_task_bytes),
            "must be from 1B to 256MiB",
        );
        let ttl_fits = (1..=86_400 * 365).contains(&staging_ttl.as_secs());
        problems.require("submitter.staging_ttl", ttl_fits, "must be from 1s to 365 days");
        self.queue.check("queue", problems);
        for (name, queue) in &self.queues {
            queue.check(&format!("queues.{name}"), problems);
        }
        self.run.check(problems);
    }

    fn log(&self) -> &LogConfig {
        &self.log
    }

    fn admin(&self) -> &AdminConfig {
        &self.admin
    }
}

#[cfg(test)]
mod tests {
    use distjob_runtime::config::assert_documents;

    use super::*;

    #[test]
    fn the_embedded_default_documents_every_key() {
        assert_documents::<Config>("submitter", EMBEDDED_CONFIG);
    }
}
