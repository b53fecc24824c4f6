//! The daemon's configuration, `config/watcher-d.toml`.

mod command;
mod list;
mod objects;
mod queue;
mod sink;
mod then;
mod webhook;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use distjob_core::{QueueName, Sharing, id::SinkName};
use distjob_runtime::config::{
    AdminConfig, LogConfig, Problems, RedisConfig, Settings, Template, ZooKeeperConfig, duration, size,
};
use serde::{Deserialize, Serialize};

use crate::files::PARTIAL;

pub use self::{
    command::{Argument, CommandConfig, Placeholder},
    list::{Entries, ListConfig, ListKind},
    objects::ObjectsConfig,
    queue::QueueConfig,
    sink::{SinkConfig, SinkKind},
    then::{Payload, Results, StepConfig, Steps, When},
    webhook::WebhookConfig,
};

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
    /// The sink that is called `default`, and what holds for every other that says nothing else. Not for use: see
    /// [`Self::sink`].
    pub sink: SinkConfig,
    /// The sinks that something is said of, complete. Not for use: see [`Self::sink`].
    #[serde(default)]
    pub sinks: BTreeMap<SinkName, SinkConfig>,
    /// What holds for every queue that says nothing else. Not for use: see [`Self::queue`].
    pub queue: QueueConfig,
    /// The queues that something is said of, complete. Not for use: see [`Self::queue`].
    // Absent only where the shipped file is read past the loader: then all are as `queue` says.
    #[serde(default)]
    pub queues: BTreeMap<QueueName, QueueConfig>,
    /// What holds for every step of a workflow that says nothing else. Not for use: see [`Self::steps`].
    pub then: StepConfig,
}

impl Config {
    /// What is done with the results of a queue.
    #[must_use]
    pub fn queue(&self, name: &QueueName) -> &QueueConfig {
        self.queues.get(name).unwrap_or(&self.queue)
    }

    /// The jobs that follow the jobs of a queue, by the names of their steps.
    #[must_use]
    pub fn steps(&self, queue: &QueueName) -> &Steps {
        &self.queue(queue).then
    }

    /// The sink of that name, if there is one.
    #[must_use]
    pub fn sink(&self, name: &SinkName) -> Option<&SinkConfig> {
        self.all_sinks()
            .find(|(known, _)| known == name)
            .map(|(_, sink)| sink)
    }

    /// All sinks with their names.
    pub fn all_sinks(&self) -> impl Iterator<Item = (SinkName, &SinkConfig)> {
        let default = SinkName::default_sink();
        let first = self.sinks.get(&default).unwrap_or(&self.sink);
        let others = self
            .sinks
            .iter()
            .filter(|(name, _)| **name != SinkName::default_sink());
        std::iter::once((default, first)).chain(others.map(|(name, sink)| (name.clone(), sink)))
    }

    /// The directory in which results are put together.
    #[must_use]
    pub fn spool(&self) -> PathBuf {
        match self.watcher.spool.as_os_str().is_empty() {
            true => self.sink.directory.join(PARTIAL),
            false => self.watcher.spool.clone(),
        }
    }
}

/// `[watcher]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatcherConfig {
    /// How jobs are shared.
    pub sharing: Sharing,
    /// How many jobs are delivered at once that need more than a moment; half as many more while deliveries take long.
    pub pipelines: usize,
    /// How many jobs are in hand at once, with those of few tasks: about the most locks that are ever held.
    pub in_hand: usize,
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
    /// The directory in which results are put together; empty: one in that of `[sink]`. See [`Config::spool`].
    pub spool: PathBuf,
    /// Most results that wait there for their sinks.
    pub spool_max: usize,
    /// Most bytes of them, and of those that are on their way; 0: no bound.
    #[serde(with = "size")]
    pub spool_max_bytes: u64,
    /// How often the views are compared with what ZooKeeper lists.
    #[serde(with = "duration")]
    pub scrub_every: Duration,
    /// How many jobs may follow each other.
    pub depth_max: u32,
    /// How long a job waits after its first failure.
    #[serde(with = "duration")]
    pub retry_initial: Duration,
    /// How long it waits at most.
    #[serde(with = "duration")]
    pub retry_max: Duration,
}

/// More locks in one session than this are a danger: the end of the session is one transaction, which must fit.
pub(crate) const LOCKS_MAX: usize = 1000;

impl WatcherConfig {
    /// How many jobs may be in hand at the same time, as long as no sink takes long: at least as many as pipelines.
    pub(crate) fn in_hand_max(&self) -> usize {
        self.in_hand.max(self.pipelines)
    }
}

impl Config {
    fn check_queue(&self, table: &str, queue: &QueueConfig, problems: &mut Problems<'_>) {
        queue.check(table, problems);
        let key = format!("{table}.sinks");
        for (at, name) in queue.sinks.iter().enumerate() {
            problems.require(
                &key,
                self.sink(name).is_some(),
                format_args!(
                    "names the sink {name}, of which nothing is said: there is no table [sinks.{name}]"
                ),
            );
            problems.require(
                &key,
                !queue.sinks[..at].contains(name),
                format_args!("names the sink {name} twice"),
            );
            if let Some(why) = self.sink(name).and_then(|sink| sink.refuses(queue)) {
                problems.report(&key, format_args!("names the sink {name}, {why}"));
            }
        }
    }
}

impl Settings for Config {
    const RELOADABLE: &'static [&'static str] = &[
        "watcher.sharing",
        "watcher.pipelines",
        "watcher.in_hand",
        "watcher.grace_period",
        "watcher.help_after",
        "watcher.slice_max_tasks",
        "watcher.slice_max_bytes",
        "watcher.tombstone_ttl",
        "watcher.keep_failed",
        "watcher.retry_initial",
        "watcher.retry_max",
        "sink",
        "queue.tolerate",
        "queue.failed_from",
        "watcher.depth_max",
        "then",
        "watcher.spool",
        "watcher.spool_max",
        "watcher.spool_max_bytes",
        "queue.format",
        "queue.archive",
        "queue.level",
        "queue.name",
        "queue.sinks",
    ];
    const TEMPLATES: &'static [Template] = &[
        Template {
            defaults: "sink",
            instances: "sinks",
            listed: None,
        },
        Template {
            defaults: "queue",
            instances: "queues",
            listed: None,
        },
        Template {
            defaults: "then",
            instances: "queues.*.then",
            listed: None,
        },
    ];

    fn check(&self, problems: &mut Problems<'_>) {
        self.zookeeper.check(problems);
        self.redis.check(problems);
        self.log.check(problems);
        let watcher = &self.watcher;
        for (key, most) in [
            ("watcher.pipelines", watcher.pipelines),
            ("watcher.in_hand", watcher.in_hand),
        ] {
            let may_be = (1..=LOCKS_MAX).contains(&most);
            problems.require(key, may_be, "must be from 1 to 1000");
        }
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
        problems.require("watcher.depth_max", watcher.depth_max >= 1, "must be at least 1");
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
        self.sink.check("sink", problems);
        for (name, sink) in &self.sinks {
            sink.check(&format!("sinks.{name}"), problems);
        }
        self.check_queue("queue", &self.queue, problems);
        for (name, queue) in &self.queues {
            self.check_queue(&format!("queues.{name}"), queue, problems);
            then::check(name, &queue.then, problems);
        }
        then::check_cycles(
            self.queues.iter().map(|(name, queue)| (name, &queue.then)),
            problems,
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
            [1, 5].map(|failed| config.queue(&queue).policy().conclude(10, failed))
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

    #[test]
    fn what_a_sink_lacks_or_cannot_use_is_named_where_it_was_written() {
        for (flags, message) in [
            (
                &["sinks.b.kind=objects"][..],
                "flag --set sinks.b.kind: `sinks.b.kind` is \"objects\", which needs sinks.b.objects.url",
            ),
            (
                &["sinks.b.kind=objects", "sinks.b.objects.url=bucket"],
                "flag --set sinks.b.objects.url: `sinks.b.objects.url` is no URL such as \"s3://bucket/prefix\"",
            ),
            (
                &["sinks.b.kind=webhook", "sinks.b.webhook.url=ftp://host/"],
                "flag --set sinks.b.webhook.url: `sinks.b.webhook.url` must begin with http:// or https://",
            ),
            (
                &["sinks.b.kind=command", "sinks.b.command.argv={path}"],
                "flag --set sinks.b.command.argv: `sinks.b.command.argv` must begin with the name of a program, which has \
                 no places in it",
            ),
            (
                &[
                    "sinks.b.kind=redis",
                    "sinks.b.redis.key=out",
                    "sinks.b.redis.what=line",
                    "queues.q.sinks=b",
                    "queues.q.format=csv",
                ],
                "flag --set queues.q.sinks: `queues.q.sinks` names the sink b, which takes lines: the queue's format must \
                 be \"jsonl\", and its archive no zip",
            ),
        ] {
            assert_eq!(with(flags).unwrap_err(), message);
        }
    }

    #[test]
    fn sinks_of_every_kind_can_be_used_side_by_side() {
        let config = with(&[
            "sinks.o.kind=objects",
            "sinks.o.objects.url=s3://bucket/a",
            "sinks.w.kind=webhook",
            "sinks.w.webhook.url=https://host/hook",
            "sinks.c.kind=command",
            "sinks.c.command.argv=/bin/true,{path}",
            "sinks.r.kind=redis",
            "sinks.r.redis.key=out",
            "queue.sinks=default,o,w,c,r",
        ]);
        let kinds: Vec<_> = config.unwrap().all_sinks().map(|(_, sink)| sink.kind).collect();
        assert_eq!(
            kinds,
            [
                SinkKind::Directory,
                SinkKind::Command,
                SinkKind::Objects,
                SinkKind::Redis,
                SinkKind::Webhook
            ]
        );
    }
}
