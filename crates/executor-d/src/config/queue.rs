//! `[queue]` and `[queues.<name>]`: what is done with the tasks of a queue, how often, and within which bounds.

use std::{collections::BTreeMap, num::NonZeroU32, path::PathBuf, time::Duration};

use distjob_core::{Percent, Rate};
use distjob_runtime::config::{Statuses, duration, size};
use serde::{Deserialize, Serialize};

use super::program::Argument;

/// What is done with the tasks of one queue: every key of `[queue]`, with what `[queues.<name>]` says instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueConfig {
    /// Which of the handlers runs them.
    pub handler: HandlerKind,
    /// Its share of the slots among the queues of its priority that have work: 1 to 1000.
    pub weight: u32,
    /// A queue with a higher one goes first: -100 to 100.
    pub priority: i32,
    /// Most tasks of it at once in this executor; 0: as many as there are slots.
    pub concurrency: u32,
    /// How many of its tasks may begin in a time, in all executors together.
    pub rate: Rate,
    /// Most tasks that may begin at once after a lull; 0: one second's worth, at least one. See [`Self::burst`].
    pub burst: u32,
    /// How long a task may take; zero: for ever. See [`Self::timeout`].
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// How often a task that fails is run at most, the first time included. Never 0.
    pub attempts: u32,
    /// The longest wait before the second attempt; it doubles with each further one.
    #[serde(with = "duration")]
    pub retry_initial: Duration,
    /// The longest wait before any attempt.
    #[serde(with = "duration")]
    pub retry_max: Duration,
    /// When the first so many of a job's tasks all failed, the others are not run; nothing: never.
    pub abort_after: Percent,
    /// Bounds of processes.
    pub bounds: BoundsConfig,
    /// Variables that are set for processes, beside those of [`BoundsConfig::environment`].
    pub variables: BTreeMap<String, String>,
    /// For [`HandlerKind::Command`].
    pub command: CommandConfig,
    /// For [`HandlerKind::Worker`].
    pub worker: WorkerConfig,
    /// For [`HandlerKind::Http`].
    pub http: HttpConfig,
}

impl QueueConfig {
    /// How long a task may take, if it is bounded.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        (!self.timeout.is_zero()).then_some(self.timeout)
    }

    /// How many tasks may begin at once after a lull; nothing when [`Self::rate`] has no bound.
    #[must_use]
    pub fn burst(&self) -> Option<NonZeroU32> {
        let usual = self.rate.usual_burst()?;
        Some(NonZeroU32::new(self.burst).unwrap_or(usual))
    }
}

/// Which handler runs the tasks of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HandlerKind {
    /// Built in: tells whether a number is prime.
    Prime,
    /// A program for each task, or for several.
    Command,
    /// A program that stays, and is asked over its stdin and stdout.
    Worker,
    /// A request to a server.
    Http,
}

/// `[queue.bounds]`: what a process may use, and what of it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoundsConfig {
    /// From TERM to KILL.
    #[serde(with = "duration")]
    pub kill_after: Duration,
    /// Most bytes of a task's value.
    #[serde(with = "size")]
    pub output_max: u64,
    /// So many bytes of the end of stderr are kept with an error; 0: none.
    #[serde(with = "size")]
    pub stderr_max: u64,
    /// Address space of a process, in bytes; 0: no bound.
    #[serde(with = "size")]
    pub memory_max: u64,
    /// Processor time of a process; zero: no bound. Whole seconds count, rounded up.
    #[serde(with = "duration")]
    pub cpu_max: Duration,
    /// Open files of a process; 0: no bound of its own.
    pub files_max: u64,
    /// The executor's variables that a process gets: names, or beginnings of names before a `*`.
    pub environment: Vec<String>,
    /// Working directory; empty: the executor's.
    pub directory: PathBuf,
    /// Whose rights the process has; empty: the executor's user.
    pub user: String,
    /// Whether each process has a cgroup of its own, where the executor may make one.
    pub cgroup: bool,
}

/// `[queue.command]`: one process for a task, or for several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandConfig {
    /// The program and its arguments, with placeholders.
    pub argv: Vec<Argument>,
    /// How many tasks a process gets, as lines on its stdin, when more than one. Never 0.
    pub tasks_per_process: u32,
    /// Exit statuses of success.
    pub success: Vec<u8>,
    /// Exit statuses of failures that are not retried.
    #[serde(rename = "final")]
    pub final_statuses: Vec<u8>,
}

/// `[queue.worker]`: processes that stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerConfig {
    /// The program and its arguments, with the placeholder for the queue only.
    pub argv: Vec<Argument>,
    /// Most requests that a process has at once. Never 0.
    pub in_flight: u32,
    /// After so many tasks a process is replaced; 0: never.
    pub tasks_per_process: u32,
}

/// `[queue.http]`: a request for each task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// Where to POST.
    pub url: String,
    /// Statuses of success.
    pub expected: Statuses,
    /// Statuses of failures that are not retried.
    #[serde(rename = "final")]
    pub final_statuses: Statuses,
    /// How long connecting may take, addresses and TLS included.
    #[serde(with = "duration")]
    pub connect_timeout: Duration,
    /// Certificate authorities that are trusted beside those of the system, in PEM; empty: none.
    pub ca_file: PathBuf,
    /// Headers of every request; `{file:PATH}` and `{env:NAME}` in the values stand for what is there.
    pub headers: BTreeMap<String, String>,
}
