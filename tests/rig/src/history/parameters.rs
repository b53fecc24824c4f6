//! What a run was asked to do.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a run was asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameters {
    /// Draws plan and workload.
    pub seed: u64,
    /// For how long faults happen.
    pub minutes: u64,
    /// The kinds of faults that may happen; none: a run without faults.
    pub nemeses: Vec<String>,
    /// Which Redis.
    pub redis: RedisKind,
    /// How processes are kept apart.
    pub network: Network,
    /// The session timeout of all daemons, in milliseconds.
    pub session_timeout_ms: u64,
    /// How long after the last fault every job must have ended, in milliseconds.
    pub settle_bound_ms: u64,
    /// After how many deaths a task is given up; 0: never.
    pub poison_after: u32,
    /// The znode below which everything is.
    pub root: String,
    /// What all keys but plain lists begin with.
    pub prefix: String,
    /// The names of the daemons that run at the beginning.
    pub daemons: Vec<String>,
    /// The command that repeats the run.
    pub command: String,
}

/// How Redis keeps what it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RedisKind {
    /// An append-only file that is synced each second.
    Aof,
    /// An append-only file that is synced before each reply.
    AofAlways,
    /// A primary with a replica that can be promoted.
    Replica,
}

/// How processes are kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// Each in a network namespace, behind a switch of the rig's own.
    Namespaces,
    /// All on loopback addresses, each behind proxies of its own.
    Loopback,
}

impl fmt::Display for RedisKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aof => "aof",
            Self::AofAlways => "aof-always",
            Self::Replica => "replica",
        })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Namespaces => "network namespaces",
            Self::Loopback => "loopback addresses",
        })
    }
}
