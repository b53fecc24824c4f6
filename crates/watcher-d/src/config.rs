//! The daemon's configuration, `config/watcher-d.toml`.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use distjob_core::{Percent, QueueName, Sharing, conclusion::Policy};
use distjob_runtime::config::{
    AdminConfig, LogConfig, Problems, RedisConfig, Settings, Template, ZooKeeperConfig, duration, size,
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
    /// What holds for every queue that says nothing else. Not for use: see [`Self::policy`].
    pub queue: QueueConfig,
    /// The queues that something is said of, complete. Not for use: see [`Self::policy`].
    // Absent only where the shipped file is read past the loader: then all are as `queue` says.
    #[serde(default)]
    pub queues: BTreeMap<QueueName, QueueConfig>,
}

impl Config {
    /// From how many failed tasks on a job of this queue is how bad.
    #[must_use]
    pub fn policy(&self, queue: &QueueName) -> Policy {
        let config = self.queues.get(queue).unwrap_or(&self.queue);
        Policy {
            tolerate: config.tolerate,
            failed_from: config.failed_from,
        }
    }
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
    /// Whether the payloads of failed tasks are kept for as long.
    pub keep_failed: bool,
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

/// `[queue]`, with what `[queues.<name>]` says instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueConfig {
    /// So many tasks may fail in a job that succeeded all the same.
    pub tolerate: Percent,
    /// From so many on the job failed.
    pub failed_from: Percent,
}

impl QueueConfig {
    fn check(&self, table: &str, problems: &mut Problems<'_>) {
        problems.require(
            &format!("{table}.failed_from"),
            self.failed_from >= self.tolerate,
            format_args!("must be at least {table}.tolerate, which is {}", self.tolerate),
        );
    }
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
        "watcher.keep_failed",
        "watcher.retry_initial",
        "watcher.retry_max",
        "sink.directory",
        "queue.tolerate",
        "queue.failed_from",
    ];
    const TEMPLATES: &'static [Template] = &[Template {
        defaults: "queue",
        instances: "queues",
        listed: None,
    }];

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
        self.queue.check("queue", problems);
        for (name, queue) in &self.queues {
            queue.check(&format!("queues.{name}"), problems);
        }
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
    use distjob_core::Conclusion;
    use distjob_runtime::config::{CommonArgs, load};
    use tempfile::NamedTempFile;

    use super::*;

    #[test]
    fn the_shipped_file_documents_every_key() {
        distjob_runtime::config::assert_documents::<Config>("watcher-d", crate::EMBEDDED_CONFIG);
    }

    /// The configuration with these flags, past any file of this machine.
    fn with(flags: &[&str]) -> Result<Config, String> {
        let empty = NamedTempFile::new().unwrap();
        let args = CommonArgs {
            config: Some(empty.path().to_owned()),
            set: flags.iter().map(|flag| flag.parse().unwrap()).collect(),
            ..CommonArgs::default()
        };
        load::<Config>("watcher-d", crate::EMBEDDED_CONFIG, &args)
            .map(|loaded| Config::clone(&loaded.settings))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_queue_may_tolerate_what_others_do_not() {
        let config = with(&["queues.Mail-1.tolerate=10%", "queue.failed_from=50%"]).unwrap();
        let conclude = |queue: &str| {
            let queue = QueueName::new(queue).unwrap();
            [1, 5].map(|failed| config.policy(&queue).conclude(10, failed))
        };
        assert_eq!(conclude("Mail-1"), [Conclusion::Succeeded, Conclusion::Failed]);
        assert_eq!(conclude("other"), [Conclusion::PartlyFailed, Conclusion::Failed]);
    }

    #[test]
    fn thresholds_that_contradict_each_other_are_refused() {
        for (flags, message) in [
            (
                &["queues.mail.tolerate=60%", "queues.mail.failed_from=50%"][..],
                "flag --set queues.mail.failed_from: `queues.mail.failed_from` must be at least queues.mail.tolerate, \
                 which is 60%",
            ),
            (
                &["queue.tolerate=5"],
                "flag --set queue.tolerate: `queue.tolerate`: \"5\" is no share such as \"5%\" or \"2.5%\", from \"0%\" to \
                 \"100%\", with at most two decimals",
            ),
        ] {
            assert_eq!(with(flags).unwrap_err(), message);
        }
    }
}
