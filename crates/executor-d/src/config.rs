//! The daemon's configuration, `config/executor-d.toml`.
//!
//! `[queue]` holds every key of a queue with its default; `[queues.<name>]` says what is different for one. The loader
//! puts them together, so that nobody else has to: see [`Config::queue`].

mod check;
mod program;
mod queue;

use std::{
    collections::BTreeMap, num::NonZero, sync::LazyLock, thread::available_parallelism, time::Duration,
};

use distjob_core::{QueueName, Sharing, width::WidthLimits};
use distjob_runtime::config::{
    AdminConfig, LogConfig, Problems, RedisConfig, Settings, Template, ZooKeeperConfig, duration, size,
};
use distjob_runtime::threads::BLOCKING_MAX;
use serde::{Deserialize, Serialize};

pub use distjob_runtime::config::Statuses;

pub use self::{
    program::{Argument, Placeholder},
    queue::{BoundsConfig, CommandConfig, HandlerKind, HttpConfig, QueueConfig, WorkerConfig},
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
    /// The executor itself.
    pub executor: ExecutorConfig,
    /// What holds for every queue that says nothing else. Not for use: see [`Self::queue`].
    pub queue: QueueConfig,
    /// Every queue of [`ExecutorConfig::queues`], complete. Not for use: see [`Self::queue`].
    // Absent only where the shipped file is read past the loader: then all are as `queue` says.
    #[serde(default)]
    pub queues: BTreeMap<QueueName, QueueConfig>,
}

impl Config {
    /// What is done with the tasks of a queue.
    #[must_use]
    pub fn queue(&self, name: &QueueName) -> &QueueConfig {
        self.queues.get(name).unwrap_or(&self.queue)
    }
}

/// `[executor]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecutorConfig {
    /// The queues that it serves.
    pub queues: Vec<QueueName>,
    /// How many tasks run at once, of all queues; 0: one for each processor.
    pub slots: usize,
    /// How jobs are shared.
    pub sharing: Sharing,
    /// How long running tasks may go on after the request to stop.
    #[serde(with = "duration")]
    pub grace_period: Duration,
    /// Work that one claim should bring one slot.
    #[serde(with = "duration")]
    pub claim_target: Duration,
    /// Most tasks in a claim.
    pub claim_max_tasks: u64,
    /// Most payload bytes in a claim.
    #[serde(with = "size")]
    pub claim_max_bytes: u64,
    /// Outcomes are recorded when they have so many bytes,
    #[serde(with = "size")]
    pub commit_max_bytes: u64,
    /// or after this time.
    #[serde(with = "duration")]
    pub commit_every: Duration,
    /// From so many deaths on, a range is run one task at a time; 0: never.
    pub isolate_after: u32,
    /// From so many deaths on, a task is given up; 0: never.
    pub poison_after: u32,
    /// How long another's job is left to its owner.
    #[serde(with = "duration")]
    pub help_after: Duration,
    /// How often the views are compared with what ZooKeeper lists.
    #[serde(with = "duration")]
    pub scrub_every: Duration,
    /// How long Redis may be away before this executor leaves, so that others can have its ranges.
    #[serde(with = "duration")]
    pub store_patience: Duration,
}

/// How many processors there are for this process, as it found out when it was first asked: the system looks through the
/// files of its control groups for that, and the loop asks all the time.
static PROCESSORS: LazyLock<usize> = LazyLock::new(|| available_parallelism().map_or(1, NonZero::get));

impl ExecutorConfig {
    /// How many ranges run at once.
    #[must_use]
    pub fn slots(&self) -> usize {
        match self.slots {
            0 => *PROCESSORS,
            slots => slots,
        }
    }

    /// The bounds of a claim.
    #[must_use]
    pub const fn width_limits(&self) -> WidthLimits {
        WidthLimits {
            target: self.claim_target,
            tasks_max: self.claim_max_tasks,
        }
    }
}

/// More slots than this are a slip.
const SLOTS_MAX: usize = 1024;

/// Each slot may hold a thread, and a task that cannot be stopped goes on in its own after its slot was given away.
const _: () = assert!(SLOTS_MAX <= BLOCKING_MAX / 4);

impl Settings for Config {
    const RELOADABLE: &'static [&'static str] = &[
        "log.level",
        "executor.sharing",
        "executor.grace_period",
        "executor.claim_target",
        "executor.claim_max_tasks",
        "executor.claim_max_bytes",
        "executor.commit_max_bytes",
        "executor.commit_every",
        "executor.isolate_after",
        "executor.poison_after",
        "executor.help_after",
        "executor.store_patience",
        "queue.weight",
        "queue.priority",
        "queue.concurrency",
        "queue.rate",
        "queue.burst",
        "queue.attempts",
        "queue.retry_initial",
        "queue.retry_max",
        "queue.abort_after",
    ];
    const TEMPLATES: &'static [Template] = &[Template {
        defaults: "queue",
        instances: "queues",
        listed: Some("executor.queues"),
    }];

    fn check(&self, problems: &mut Problems<'_>) {
        self.zookeeper.check(problems);
        self.redis.check(problems);
        self.log.check(problems);
        let executor = &self.executor;
        problems.require(
            "executor.queues",
            !executor.queues.is_empty(),
            "must name at least one queue",
        );
        problems.require(
            "executor.slots",
            executor.slots <= SLOTS_MAX,
            "must be at most 1024",
        );
        for (key, bytes) in [
            ("executor.claim_max_bytes", executor.claim_max_bytes),
            ("executor.commit_max_bytes", executor.commit_max_bytes),
        ] {
            let fits = (1024..=1 << 28).contains(&bytes);
            problems.require(key, fits, "must be from 1KiB to 256MiB");
        }
        problems.require(
            "executor.claim_max_tasks",
            executor.claim_max_tasks > 0,
            "must be at least 1",
        );
        problems.require(
            "executor.poison_after",
            executor.poison_after == 0 || executor.isolate_after > 0 && executor.poison_after >= executor.isolate_after,
            "must be 0 or at least executor.isolate_after, which must not be 0 then: only a task that ran alone is \
             given up",
        );
        for (key, value) in [
            ("executor.claim_target", executor.claim_target),
            ("executor.commit_every", executor.commit_every),
            ("executor.scrub_every", executor.scrub_every),
            ("executor.store_patience", executor.store_patience),
        ] {
            problems.require(key, !value.is_zero(), "must be more than nothing");
        }
        check::check_values("queue", &self.queue, problems);
        for (name, queue) in &self.queues {
            let table = format!("queues.{name}");
            check::check_values(&table, queue, problems);
            check::check_handler(&table, queue, problems);
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
    use distjob_runtime::config::assert_documents;

    use super::*;

    #[test]
    fn the_file_that_is_shipped_names_every_key() {
        assert_documents::<Config>("executor-d", crate::EMBEDDED_CONFIG);
    }
}
