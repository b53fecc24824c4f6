//! What can happen in a run.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// Something that happened, or that was seen, in a run.
///
/// Processes are known by a name, such as `executor-2`, that outlives them: an event names the last one that was started
/// under it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The first event of a run.
    Began(Parameters),
    /// A submission is about to be made. Recorded before anything of it is sent to a store.
    Submitting {
        /// Numbers the submissions of a run: an id may be submitted more than once.
        submission: u64,
        /// The job's id: [`expect`](crate::expect) says what its tasks are.
        id: String,
        /// The queue.
        queue: String,
        /// How many tasks it has.
        count: u64,
        /// Who submits: a process's name, or `rig`.
        by: String,
        /// In which way.
        how: How,
    },
    /// What a submission was told. One that is never answered is unclear.
    Answered {
        /// Which one.
        submission: u64,
        /// Its job.
        id: String,
        /// What it was told.
        answer: Answer,
    },
    /// An operator is about to cancel a job.
    Cancelling {
        /// The job.
        id: String,
    },
    /// A nemesis begins.
    FaultBegan {
        /// Numbers the faults of a run.
        number: u64,
        /// The name that `--nemesis` takes.
        kind: String,
        /// Which processes or servers.
        targets: Vec<String>,
        /// What precisely, for people.
        detail: String,
    },
    /// A nemesis is over, and what it did is undone.
    FaultEnded {
        /// Which one.
        number: u64,
    },
    /// A process was started.
    ProcessStarted {
        /// Its name.
        name: String,
        /// What it is.
        role: Role,
        /// Its process id.
        pid: u32,
        /// How many were started under this name before.
        incarnation: u64,
    },
    /// The rig is about to send SIGKILL.
    ProcessKilled {
        /// To whom.
        name: String,
    },
    /// The rig is about to send SIGTERM.
    ProcessStopped {
        /// To whom.
        name: String,
    },
    /// A process is gone.
    ProcessExited {
        /// Which one.
        name: String,
        /// How it ended.
        exit: Exit,
    },
    /// From now on Redis may lack writes that it had acknowledged. Recorded before it happens.
    StoreLost {
        /// What happened: the tail of the file cut, a replica promoted.
        why: String,
    },
    /// Others took over from a process that was killed.
    Recovered {
        /// What was killed: for an executor its ranges run elsewhere, for a watcher its job is delivered by another.
        role: Role,
        /// Its name.
        process: String,
        /// When it was killed.
        from_ms: u64,
        /// When the first of its work was seen elsewhere.
        to_ms: u64,
    },
    /// Figures of one moment, about each second.
    Sampled(Sample),
    /// The last fault was ended, and everything is healed.
    FaultsOver,
    /// Every job has ended.
    Settled {
        /// Milliseconds since [`Event::FaultsOver`].
        after_ms: u64,
    },
    /// Not every job has ended within the time that the run gives.
    Unsettled {
        /// The jobs that are left, each with its state.
        left: Vec<String>,
    },
    /// A job whose znode says `lost`, at the end.
    Lost {
        /// The job.
        id: String,
    },
    /// What was still there when every daemon had been asked to leave, after `distjobctl gc`.
    Left(Leftovers),
    /// The last event of a run that came to its end.
    Ended,
}

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

/// In which way a job is submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// By `submitter once`.
    Once,
    /// By a list in Redis and a znode, as any program may.
    Plain,
    /// By `submitter once` with the id of an earlier submission.
    Resubmission,
}

/// What a submission was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "said", rename_all = "kebab-case")]
pub enum Answer {
    /// The job was created, and is safe.
    Acknowledged,
    /// A job of this id was submitted before, and stays as it is.
    Before,
    /// It failed, and no job has come of it or will: no request to create it is without its reply.
    Refused {
        /// The error.
        why: String,
    },
    /// It failed after the job was created, which was cancelled: it may have been run, and delivered, by then.
    Withdrawn {
        /// The error.
        why: String,
    },
    /// Nobody knows: a job may have come of it, or come yet.
    Unclear {
        /// The error, or that the submitter was killed.
        why: String,
    },
}

/// What a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// A server of the ensemble.
    ZooKeeper,
    /// A Redis.
    Redis,
    /// `executor-d`.
    Executor,
    /// `watcher-d`.
    Watcher,
    /// `submitter`.
    Submitter,
    /// `distjobctl`.
    Operator,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    /// By itself, with this status.
    Status(i32),
    /// By this signal.
    Signal(i32),
}

/// Figures of one moment. Totals count from the beginning of the run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Executions of tasks by handlers.
    pub executed: u64,
    /// Tasks whose outcome is in a delivered file.
    pub delivered_tasks: u64,
    /// Jobs whose file was delivered.
    pub delivered_jobs: u64,
    /// Jobs in the ledger, by state as their znodes say it.
    pub jobs: BTreeMap<String, u64>,
}

/// What was still there at the end, apart from what always is: the directories of the ledger, the servers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leftovers {
    /// Paths of znodes below `jobs`, `executors`, `watchers` and `watchlocks`.
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

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ZooKeeper => "zookeeper",
            Self::Redis => "redis",
            Self::Executor => "executor",
            Self::Watcher => "watcher",
            Self::Submitter => "submitter",
            Self::Operator => "operator",
        })
    }
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

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "status {status}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// One of each event that has a shape of its own.
#[cfg(test)]
pub(super) fn samples() -> Vec<Event> {
    let id = || "mixed-1".to_owned();
    let parameters = Parameters {
        seed: u64::MAX,
        minutes: 2,
        nemeses: vec!["kill-executor".to_owned()],
        redis: RedisKind::AofAlways,
        network: Network::Namespaces,
        session_timeout_ms: 3_000,
        settle_bound_ms: 60_000,
        poison_after: 5,
        root: "/distjob".to_owned(),
        prefix: "distjob:".to_owned(),
        daemons: vec!["executor-1".to_owned()],
        command: "cargo xtask faults".to_owned(),
    };
    vec![
        Event::Began(parameters),
        Event::Submitting {
            submission: 1,
            id: id(),
            queue: "default".to_owned(),
            count: 7,
            by: "submitter-1".to_owned(),
            how: How::Resubmission,
        },
        Event::Answered {
            submission: 1,
            id: id(),
            answer: Answer::Unclear {
                why: "killed".to_owned(),
            },
        },
        Event::ProcessExited {
            name: "executor-1".to_owned(),
            exit: Exit::Signal(9),
        },
        Event::Sampled(Sample {
            jobs: BTreeMap::from([("subm".to_owned(), 3)]),
            ..Sample::default()
        }),
        Event::FaultsOver,
        Event::Left(Leftovers {
            keys: vec![LeftKey {
                key: "distjob:ledger".to_owned(),
                is_tombstone: false,
                ttl_ms: None,
            }],
            ..Leftovers::default()
        }),
        Event::Ended,
    ]
}
