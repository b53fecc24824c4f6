//! What `submitter run` is told: `[run]` with its tables, and `[queue]`.

mod intakes;

use std::{path::PathBuf, time::Duration};

use distjob_runtime::config::{Problems, duration, size};
use serde::{Deserialize, Serialize};

pub use intakes::{HttpConfig, PressureConfig, RedisIntakeConfig, SocketConfig, SocketListen};

/// The keys of this part that are taken over at SIGHUP.
pub(crate) const RELOADABLE: &[&str] = &[
    "queue.max_tasks",
    "queue.max_bytes",
    "queue.max_wait",
    "run.pressure.jobs_max",
    "run.pressure.look_every",
    "run.pressure.redis_memory_max",
    "run.spool.archive",
    "run.spool.scan_every",
    "run.spool.settle",
];

/// The most tasks that a job of the service may be configured to have: one line is read again, so many are kept.
const JOB_TASKS_MAX: u64 = 10_000_000;

/// `[queue]`, with what `[queues.<name>]` says instead: when a job is closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueConfig {
    /// Most tasks in a job.
    pub max_tasks: u64,
    /// Most bytes in a job, unless a single task has more.
    #[serde(with = "size")]
    pub max_bytes: u64,
    /// How long the first of single lines waits for others.
    #[serde(with = "duration")]
    pub max_wait: Duration,
}

impl QueueConfig {
    /// Reports what makes no sense in the table of that name.
    pub(crate) fn check(&self, table: &str, problems: &mut Problems<'_>) {
        problems.require(
            &format!("{table}.max_tasks"),
            (1..=JOB_TASKS_MAX).contains(&self.max_tasks),
            "must be from 1 to 10000000",
        );
        problems.require(
            &format!("{table}.max_bytes"),
            (1..=1 << 40).contains(&self.max_bytes),
            "must be from 1B to 1TiB",
        );
        problems.require(
            &format!("{table}.max_wait"),
            self.max_wait <= Duration::from_secs(3600),
            "must be at most 1h",
        );
    }
}

/// `[run]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// How long what was taken in may take to become jobs after the request to stop.
    #[serde(with = "duration")]
    pub grace_period: Duration,
    /// Files.
    pub spool: SpoolConfig,
    /// HTTP requests.
    pub http: HttpConfig,
    /// Lines over a socket.
    pub socket: SocketConfig,
    /// A list or a stream.
    pub redis: RedisIntakeConfig,
    /// When nothing is taken in.
    pub pressure: PressureConfig,
}

impl RunConfig {
    /// Reports what makes no sense.
    pub(crate) fn check(&self, problems: &mut Problems<'_>) {
        self.spool.check(problems);
        self.http.check(problems);
        self.socket.check(problems);
        self.redis.check(problems);
        self.pressure.check(problems);
    }
}

/// `[run.spool]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpoolConfig {
    /// Which directory is watched; empty: none.
    pub directory: PathBuf,
    /// What becomes of a file that was submitted.
    pub archive: Archive,
    /// How often the directory is looked through.
    #[serde(with = "duration")]
    pub scan_every: Duration,
    /// How long a file that nobody announced must have been left alone.
    #[serde(with = "duration")]
    pub settle: Duration,
    /// How many files are submitted at the same time.
    pub files_at_once: usize,
}

/// What becomes of a file whose tasks are safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Archive {
    /// It is moved to `done`.
    Keep,
    /// It is removed.
    Remove,
}

impl SpoolConfig {
    fn check(&self, problems: &mut Problems<'_>) {
        problems.require(
            "run.spool.scan_every",
            (Duration::from_millis(10)..=Duration::from_secs(86_400)).contains(&self.scan_every),
            "must be from 10ms to 1 day",
        );
        problems.require(
            "run.spool.files_at_once",
            (1..=256).contains(&self.files_at_once),
            "must be from 1 to 256",
        );
    }
}
