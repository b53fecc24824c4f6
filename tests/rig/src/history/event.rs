//! What can happen in a run.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::{Leftovers, Parameters};

/// Something that happened, or that was seen, in a run.
///
/// Processes are known by a name, such as `executor-2`, that outlives them: an event names the last one that was started
/// under it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The recorder was made. It records this itself.
    Opened {
        /// When: milliseconds since 1970, by the machine's clock.
        unix_ms: u64,
    },
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
        /// The group that it is to be a member of.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        group: Option<String>,
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
    /// A daemon that ended left processes behind that it had started.
    Orphaned {
        /// Its name.
        name: String,
        /// Their process ids.
        processes: Vec<u32>,
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
    /// Redis lacks writes that it had acknowledged before this moment, and none that it acknowledges after it. Recorded when
    /// it is back and before clients reach it, or when the last that could be lost is: no job that is submitted later may
    /// be `lost` for it.
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
    /// A delivered file was seen under its name for the first time.
    Appeared {
        /// Whose.
        id: String,
        /// How many whole lines it had then.
        lines: u64,
    },
    /// What a webhook or a store of objects took, recorded at the end.
    Taken {
        /// Which of them: `hook` or `objects`.
        outlet: String,
        /// Under which key, or at which place.
        place: String,
        /// The digest of what was brought, of a hook that of the result that it was told of.
        sha256: String,
        /// How often.
        times: u64,
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
    use super::{LeftKey, Network, RedisKind};

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
            group: Some("group-1".to_owned()),
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
        Event::Appeared { id: id(), lines: 7 },
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
