//! How a cluster is run, and the configuration files that follow from it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{PREFIX, ROOT};
use crate::expect::{self, QUEUES};
use crate::history::RedisKind;

/// How a cluster is run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where everything is that the run writes.
    pub dir: PathBuf,
    /// Chooses the frames that a lossy link loses.
    pub seed: u64,
    /// Which Redis.
    pub redis: RedisKind,
    /// Of all daemons, submitters and operators.
    pub session_timeout: Duration,
    /// The size of the disk that watchers deliver to.
    pub sink_bytes: u64,
    /// Whether daemons have clocks that can be moved. Needs Debian's package `libfaketime`.
    pub clocks: bool,
    /// How much memory an executor may have, in bytes of private writable mappings; an allocation beyond it fails, which
    /// ends the executor.
    pub executor_bytes: Option<u64>,
    /// More lines of TOML for the table `[zookeeper]` of every program.
    pub zookeeper_lines: String,
    /// More lines of TOML for the table `[redis]` of every program.
    pub redis_lines: String,
    /// Lines of TOML for the table `[executor]`.
    pub executor_lines: String,
    /// Lines of TOML for the table `[watcher]`.
    pub watcher_lines: String,
    /// Lines of TOML for the table `[submitter]`.
    pub submitter_lines: String,
}

impl Settings {
    /// What suits a run in `dir`: sessions of 3 s, a disk of 1 GiB, clocks that are the machine's, and all else as the
    /// programs have it by default.
    pub fn new(dir: impl Into<PathBuf>, seed: u64, redis: RedisKind) -> Settings {
        Settings {
            dir: dir.into(),
            seed,
            redis,
            session_timeout: Duration::from_secs(3),
            sink_bytes: 1 << 30,
            clocks: false,
            executor_bytes: None,
            zookeeper_lines: String::new(),
            redis_lines: String::new(),
            executor_lines: String::new(),
            watcher_lines: String::new(),
            submitter_lines: String::new(),
        }
    }

    /// The directory of configurations, logs and clocks, named after processes.
    pub fn logs(&self) -> PathBuf {
        self.dir.join("logs")
    }

    /// The directory of the executors' files of executions, named after executors.
    pub fn executions(&self) -> PathBuf {
        self.dir.join("executions")
    }

    pub(super) fn shared_tables(&self, zookeeper: &str, redis: &str) -> String {
        format!(
            "[zookeeper]\nconnect = {zookeeper:?}\nroot = {ROOT:?}\nsession_timeout = \"{}ms\"\n{}\n\
             [redis]\nurl = {redis:?}\nprefix = {PREFIX:?}\n{}\n\
             [log]\nlevel = \"info\"\n\n",
            self.session_timeout.as_millis(),
            self.zookeeper_lines,
            self.redis_lines,
        )
    }

    pub(super) fn executor_tables(&self) -> String {
        format!("[executor]\nqueues = {QUEUES:?}\n{}\n", self.executor_lines)
    }

    pub(super) fn watcher_tables(&self, sink: &Path) -> String {
        format!(
            "[sink]\ndirectory = {sink:?}\n\n[watcher]\n{}\n{}",
            self.watcher_lines,
            expect::tables()
        )
    }

    pub(super) fn submitter_tables(&self) -> String {
        format!("[submitter]\n{}\n", self.submitter_lines)
    }
}
