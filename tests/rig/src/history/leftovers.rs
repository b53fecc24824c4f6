//! What a run leaves behind.

use serde::{Deserialize, Serialize};

/// What was still there at the end, apart from what always is: the directories of the ledger, the servers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leftovers {
    /// Paths of znodes below `jobs`, `executors`, `watchers`, `watchlocks` and `groups`.
    pub znodes: Vec<String>,
    /// Every key in Redis.
    pub keys: Vec<LeftKey>,
    /// Processes of the project that still ran, with their ids.
    pub processes: Vec<String>,
    /// Temporary files: what is below the sink and is no delivered file.
    pub files: Vec<String>,
    /// Open descriptors of each daemon that lived through a quiet stretch, before it was asked to leave.
    pub descriptors: Vec<Descriptors>,
}

/// A key in Redis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftKey {
    /// Its name.
    pub key: String,
    /// Whether it is a `meta` key in the state `gone`.
    pub is_tombstone: bool,
    /// In how many milliseconds it expires, if it does.
    pub ttl_ms: Option<u64>,
}

/// How many descriptors a process had open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptors {
    /// The process's name.
    pub process: String,
    /// When it had become ready.
    pub at_start: u64,
    /// When every job had ended.
    pub at_end: u64,
}
