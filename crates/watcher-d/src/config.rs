//! The daemon's configuration, `config/watcher-d.toml`.

use std::{path::PathBuf, time::Duration};

use distjob_core::Sharing;
use distjob_runtime::config::{
    AdminConfig, LogConfig, Problems, RedisConfig, Settings, ZooKeeperConfig, duration, size,
};
use serde::{Deserialize, Serialize};

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
    /// Metrics and health.
    pub admin: AdminConfig,
    /// The watcher itself.
    pub watcher: WatcherConfig,
    /// Where results go.
    pub sink: SinkConfig,
}

/// `[watcher]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatcherConfig {
    /// How jobs are shared.
    pub sharing: Sharing,
    /// How many jobs are delivered at once: the most locks that are ever held.
    pub pipelines: usize,
    /// How long deliveries may go on after the request to stop.
    #[serde(with = "duration")]
    pub grace_period: Duration,
    /// How long another's job is left to its owner.
    #[serde(with = "duration")]
    pub help_after: Duration,
    /// Most tasks in a slice.
    pub slice_max_tasks: u64,
    /// About the most bytes in a slice.
    #[serde(with = "size")]
    pub slice_max_bytes: u64,
    /// How long the store remembers that a job was dropped.
    #[serde(with = "duration")]
    pub tombstone_ttl: Duration,
    /// How often the views are compared with what ZooKeeper lists.
    #[serde(with = "duration")]
    pub scrub_every: Duration,
    /// How long a job waits after its first failure.
    #[serde(with = "duration")]
    pub retry_initial: Duration,
    /// How long it waits at most.
    #[serde(with = "duration")]
    pub retry_max: Duration,
}

/// `[sink]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SinkConfig {
    /// The directory of result files.
    pub directory: PathBuf,
}

/// More locks in one session than this are a danger: the end of the session is one transaction, which must fit.
const PIPELINES_MAX: usize = 1000;

impl Settings for Config {
    const RELOADABLE: &'static [&'static str] = &[
        "watcher.sharing",
        "watcher.pipelines",
        "watcher.grace_period",
        "watcher.help_after",
        "watcher.slice_max_tasks",
        "watcher.slice_max_bytes",
        "watcher.tombstone_ttl",
        "watcher.retry_initial",
        "watcher.retry_max",
        "sink.directory",
    ];

    fn check(&self, problems: &mut Problems<'_>) {
        self.zookeeper.check(problems);
        self.redis.check(problems);
        self.log.check(problems);
        let watcher = &self.watcher;
        let pipelines = (1..=PIPELINES_MAX).contains(&watcher.pipelines);
        problems.require("watcher.pipelines", pipelines, "must be from 1 to 1000");
        problems.require(
            "watcher.slice_max_tasks",
            (1..=1_000_000).contains(&watcher.slice_max_tasks),
            "must be from 1 to 1000000",
        );
        problems.require(
            "watcher.slice_max_bytes",
            (1024..=1 << 28).contains(&watcher.slice_max_bytes),
            "must be from 1KiB to 256MiB",
        );
        problems.require(
            "watcher.tombstone_ttl",
            watcher.tombstone_ttl >= Duration::from_secs(60),
            "must be at least 1m: it has to outlast every pause and every delay",
        );
        problems.require(
            "watcher.scrub_every",
            watcher.scrub_every >= Duration::from_secs(1),
            "must be at least 1s",
        );
        problems.require(
            "watcher.retry_initial",
            watcher.retry_initial >= Duration::from_millis(1),
            "must be at least 1ms",
        );
        problems.require(
            "watcher.retry_max",
            watcher.retry_max >= watcher.retry_initial,
            "must be at least watcher.retry_initial",
        );
        problems.require(
            "sink.directory",
            !self.sink.directory.as_os_str().is_empty(),
            "must not be empty",
        );
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
    use super::Config;

    #[test]
    fn the_shipped_file_documents_every_key() {
        distjob_runtime::config::assert_documents::<Config>("watcher-d", crate::EMBEDDED_CONFIG);
    }
}
