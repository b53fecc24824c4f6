//! One fault with everything about it decided.

use std::fmt::{self, Display, Formatter};

use super::Kind;
use crate::cluster::Mood;

/// The points of a watcher's work at which it may be ambushed; builds for development know them.
pub const POINTS: [&str; 16] = [
    "locked",
    "collected",
    "zipped",
    "before-rename",
    "manifest",
    "after-rename",
    "manifest-sent",
    "result-sent",
    "delivered",
    "noted",
    "uploaded",
    "follow-up-opened",
    "settled",
    "joined",
    "dropped",
    "before-delete",
];

/// A process of a role, or the host of submitters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// The executor of this number.
    Executor(u32),
    /// The watcher of this number.
    Watcher(u32),
    /// The host of submitters of this number.
    Submitter(u32),
}

/// What a process is cut off from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// One ZooKeeper server.
    Server(u32),
    /// All ZooKeeper servers.
    Servers,
    /// Redis.
    Redis,
}

/// Which way is blocked. Nothing tells either side so: what is sent vanishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Both.
    Both,
    /// What the victim sends.
    Out,
    /// What is sent to the victim.
    In,
}

/// A time as a multiple of half the session timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Half(pub u32);

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Nemesis {
    /// SIGKILL of a daemon, or of all submitters that run from a host, each `after_ms` at most after its start.
    Kill(Victim),
    /// SIGTERM of a daemon.
    Stop(Victim),
    /// SIGSTOP of a daemon, or of submitters, for so long.
    Freeze(Victim, Half),
    /// SIGSTOP of all executors.
    FreezeExecutors,
    /// The end of a watcher of this number, or SIGSTOP for so long, at a point of its work.
    Ambush {
        /// The watcher's number.
        watcher: u32,
        /// One of [`POINTS`].
        point: &'static str,
        /// SIGSTOP for so long instead of SIGKILL.
        freeze: Option<Half>,
    },
    /// Silence between a process and a store.
    CutOff {
        /// Whose.
        victim: Victim,
        /// From what.
        from: From,
        /// Which way.
        way: Way,
    },
    /// Silence between a ZooKeeper server and the other ones.
    SplitServers {
        /// Which one.
        server: u32,
        /// Which way.
        way: Way,
    },
    /// All links take so much longer, in milliseconds, and up to `jitter_ms` more.
    SlowLinks {
        /// At least.
        delay_ms: u32,
        /// On top, at random.
        jitter_ms: u32,
    },
    /// So many of 1,000 frames are lost on each link.
    LossyLinks {
        /// Of 1,000.
        per_mille: u32,
    },
    /// The connections of a process are reset; `None`: all connections to Redis.
    CutConnections(Option<Victim>),
    /// SIGKILL of the leader.
    KillLeader,
    /// SIGKILL of two servers.
    LoseQuorum,
    /// All servers, one after the other.
    RollingRestart,
    /// The end of a daemon's session.
    Expire(Victim),
    /// SIGKILL of Redis, and a start after the fault's time.
    KillRedis,
    /// SIGKILL of Redis, and so many bytes less in its append-only file.
    CutTail {
        /// At most; never what was written before the run's jobs.
        bytes: u32,
    },
    /// The replica becomes the primary.
    PromoteReplica,
    /// SIGSTOP of Redis.
    PauseRedis,
    /// `SCRIPT FLUSH`, again and again.
    FlushScripts,
    /// `maxmemory` below what is in use.
    LimitMemory,
    /// No space left for delivered files.
    FillDisk,
    /// The webhook and the store of objects do not take results, or do not say so.
    Vex(Mood),
    /// A daemon's clock jumps by so many seconds, and back at the end.
    MoveClock(Victim, i32),
    /// Daemons go and come every 2 s.
    Churn,
    /// A job with tasks that abort.
    Abort,
    /// A job with a task that never ends, until its executors are killed.
    Hang,
    /// A job with a task that takes all memory that its executor may have.
    Bloat,
}

impl Nemesis {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Kill(Victim::Executor(_)) => Kind::KillExecutor,
            Self::Kill(Victim::Watcher(_)) => Kind::KillWatcher,
            Self::Kill(Victim::Submitter(_)) => Kind::KillSubmitter,
            Self::Stop(Victim::Watcher(_)) => Kind::StopWatcher,
            Self::Stop(_) => Kind::StopExecutor,
            Self::Freeze(Victim::Executor(_), _) => Kind::FreezeExecutor,
            Self::Freeze(Victim::Watcher(_), _) => Kind::FreezeWatcher,
            Self::Freeze(Victim::Submitter(_), _) => Kind::FreezeSubmitter,
            Self::FreezeExecutors => Kind::FreezeExecutors,
            Self::Ambush { .. } => Kind::AmbushWatcher,
            Self::CutOff {
                from: From::Redis, ..
            } => Kind::PartitionRedis,
            Self::CutOff { .. } => Kind::PartitionZooKeeper,
            Self::SplitServers { .. } => Kind::PartitionServers,
            Self::SlowLinks { .. } => Kind::SlowLinks,
            Self::LossyLinks { .. } => Kind::LossyLinks,
            Self::CutConnections(_) => Kind::CutConnections,
            Self::KillLeader => Kind::KillLeader,
            Self::LoseQuorum => Kind::LoseQuorum,
            Self::RollingRestart => Kind::RollingRestart,
            Self::Expire(_) => Kind::ExpireSession,
            Self::KillRedis => Kind::KillRedis,
            Self::CutTail { .. } => Kind::CutTail,
            Self::PromoteReplica => Kind::PromoteReplica,
            Self::PauseRedis => Kind::PauseRedis,
            Self::FlushScripts => Kind::FlushScripts,
            Self::LimitMemory => Kind::LimitMemory,
            Self::FillDisk => Kind::FillDisk,
            Self::Vex(Mood::Cutting) => Kind::CutResults,
            Self::Vex(Mood::Stalling) => Kind::StallResults,
            Self::Vex(Mood::Refusing | Mood::Well) => Kind::RefuseResults,
            Self::MoveClock(..) => Kind::MoveClock,
            Self::Churn => Kind::Churn,
            Self::Abort => Kind::AbortHandler,
            Self::Hang => Kind::HangHandler,
            Self::Bloat => Kind::BloatHandler,
        }
    }

    /// Whom it harms, by name, for the record; empty when that is only found when it begins.
    #[must_use]
    pub fn targets(&self) -> Vec<String> {
        match self {
            Self::Kill(victim)
            | Self::Stop(victim)
            | Self::Freeze(victim, _)
            | Self::CutOff { victim, .. }
            | Self::CutConnections(Some(victim))
            | Self::Expire(victim)
            | Self::MoveClock(victim, _) => vec![victim.to_string()],
            Self::Ambush { watcher, .. } => vec![Victim::Watcher(*watcher).to_string()],
            Self::SplitServers { server, .. } => vec![format!("zookeeper-{server}")],
            Self::CutConnections(None)
            | Self::KillRedis
            | Self::CutTail { .. }
            | Self::PromoteReplica
            | Self::PauseRedis
            | Self::FlushScripts
            | Self::LimitMemory => vec!["redis".to_owned()],
            Self::FillDisk => vec!["sink".to_owned()],
            Self::Vex(_) => vec!["hook".to_owned(), "objects".to_owned()],
            _ => Vec::new(),
        }
    }

    /// What is special about it, in words; empty when its kind and its targets say all.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::Freeze(_, half) => format!("for {half} the session timeout"),
            Self::Ambush {
                point, freeze: None, ..
            } => format!("killed at {point}"),
            Self::Ambush {
                point,
                freeze: Some(half),
                ..
            } => {
                format!("frozen at {point} for {half} the session timeout")
            }
            Self::CutOff { from, way, .. } => format!("from {from}, {way}"),
            Self::SplitServers { way, .. } => format!("from the other servers, {way}"),
            Self::SlowLinks { delay_ms, jitter_ms } => {
                format!("by {delay_ms} to {} ms", delay_ms + jitter_ms)
            }
            Self::LossyLinks { per_mille } => format!("{}.{} % lost", per_mille / 10, per_mille % 10),
            Self::CutTail { bytes } => format!("up to {bytes} bytes"),
            Self::MoveClock(_, by_s) => format!("by {by_s} s"),
            _ => String::new(),
        }
    }
}

impl Display for Nemesis {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind().name())?;
        let (targets, detail) = (self.targets().join(", "), self.detail());
        for part in [targets, detail] {
            if !part.is_empty() {
                write!(f, " {part}")?;
            }
        }
        Ok(())
    }
}

impl Display for Victim {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Executor(number) => write!(f, "executor-{number}"),
            Self::Watcher(number) => write!(f, "watcher-{number}"),
            Self::Submitter(number) => write!(f, "submitter-{number}"),
        }
    }
}

impl Display for From {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(number) => write!(f, "zookeeper-{number}"),
            Self::Servers => f.write_str("all ZooKeeper servers"),
            Self::Redis => f.write_str("redis"),
        }
    }
}

impl Display for Way {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Both => "both ways",
            Self::Out => "one-way: it is not heard",
            Self::In => "one-way: it does not hear",
        })
    }
}

impl Display for Half {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("half"),
            2 => f.write_str("once"),
            halves if halves.is_multiple_of(2) => write!(f, "{} times", halves / 2),
            halves => write!(f, "{}.5 times", halves / 2),
        }
    }
}
