//! The kinds of faults.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

/// What a fault takes hold of. Two faults at the same time never take hold of the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Thing {
    /// The processes of the executors.
    Executors,
    /// The processes of the watchers.
    Watchers,
    /// The processes of submitters.
    Submitters,
    /// The processes of the ZooKeeper servers.
    ZooKeeper,
    /// The process and the data of Redis.
    Redis,
    /// The network.
    Links,
    /// The disk with the delivered files.
    Disk,
    /// The webhook and the store of objects.
    Outlets,
}

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident = $name:literal, $seizes:ident, $value:ident;)+) => {
        /// A kind of fault. Its name on the command line and in reports is its word in kebab case.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Kind {
            $($(#[doc = $doc])+ $kind,)+
        }

        impl Kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// Its name, such as `kill-executor`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                }
            }

            /// What it takes hold of.
            #[must_use]
            pub const fn seizes(self) -> Thing {
                match self {
                    $(Self::$kind => Thing::$seizes,)+
                }
            }

            /// Whether even a short run should have it.
            #[must_use]
            pub const fn is_essential(self) -> bool {
                match self {
                    $(Self::$kind => kinds!(@$value),)+
                }
            }
        }
    };
    (@essential) => { true };
    (@further) => { false };
}

kinds! {
    /// SIGKILL of an executor; a new one comes later.
    KillExecutor = "kill-executor", Executors, essential;
    /// SIGKILL of a watcher; a new one comes later.
    KillWatcher = "kill-watcher", Watchers, essential;
    /// SIGKILL of submitters, each at some moment of its work.
    KillSubmitter = "kill-submitter", Submitters, essential;
    /// SIGTERM of an executor; a new one comes later.
    StopExecutor = "stop-executor", Executors, further;
    /// SIGTERM of a watcher; a new one comes later.
    StopWatcher = "stop-watcher", Watchers, further;
    /// SIGSTOP of an executor for half, once or three times the session timeout.
    FreezeExecutor = "freeze-executor", Executors, essential;
    /// SIGSTOP of all executors for longer than tasks live that no submitter keeps alive.
    FreezeExecutors = "freeze-executors", Executors, further;
    /// SIGSTOP of a watcher for half, once or three times the session timeout.
    FreezeWatcher = "freeze-watcher", Watchers, essential;
    /// SIGKILL or SIGSTOP of a watcher just when it has come to a certain point of a delivery.
    AmbushWatcher = "ambush-watcher", Watchers, essential;
    /// SIGSTOP of submitters, each at some moment of its work.
    FreezeSubmitter = "freeze-submitter", Submitters, further;
    /// A process and one or all ZooKeeper servers do not hear each other, or one does not hear the other.
    PartitionZooKeeper = "partition-zookeeper", Links, essential;
    /// A process and Redis do not hear each other, or one does not hear the other.
    PartitionRedis = "partition-redis", Links, essential;
    /// A ZooKeeper server and the others do not hear each other, or one side does not hear the other.
    PartitionServers = "partition-servers", Links, further;
    /// Everything takes longer on its way.
    SlowLinks = "slow-links", Links, further;
    /// A share of everything is lost on its way.
    LossyLinks = "lossy-links", Links, further;
    /// All connections of a process are reset, or of all processes to Redis.
    CutConnections = "cut-connections", Links, further;
    /// SIGKILL of the ZooKeeper server that leads.
    KillLeader = "kill-leader", ZooKeeper, essential;
    /// SIGKILL of two of three ZooKeeper servers.
    LoseQuorum = "lose-quorum", ZooKeeper, further;
    /// Each ZooKeeper server is restarted in turn.
    RollingRestart = "rolling-restart", ZooKeeper, further;
    /// The session of a daemon is ended under it.
    ExpireSession = "expire-session", ZooKeeper, essential;
    /// SIGKILL of Redis; it comes back with its append-only file.
    KillRedis = "kill-redis", Redis, essential;
    /// SIGKILL of Redis; it comes back without the tail of its append-only file.
    CutTail = "cut-tail", Redis, essential;
    /// The replica of Redis takes the place of the primary, which is lost.
    PromoteReplica = "promote-replica", Redis, essential;
    /// SIGSTOP of Redis.
    PauseRedis = "pause-redis", Redis, further;
    /// Redis forgets its scripts.
    FlushScripts = "flush-scripts", Redis, further;
    /// Redis has no memory left for writes.
    LimitMemory = "limit-memory", Redis, further;
    /// The disk with the delivered files is full.
    FillDisk = "fill-disk", Disk, further;
    /// The webhook and the store of objects refuse what is brought to them.
    RefuseResults = "refuse-results", Outlets, further;
    /// The webhook and the store of objects take what is brought to them, and cut the connection instead of an answer.
    CutResults = "cut-results", Outlets, further;
    /// The webhook and the store of objects never come to the end of an answer.
    StallResults = "stall-results", Outlets, further;
    /// The clock of a daemon is moved.
    MoveClock = "move-clock", Executors, further;
    /// Every two seconds a daemon goes and another one comes.
    Churn = "churn", Executors, further;
    /// Tasks that abort their executor.
    AbortHandler = "abort-handler", Executors, essential;
    /// A task that never ends.
    HangHandler = "hang-handler", Executors, further;
    /// A task that takes more memory than its executor may have.
    BloatHandler = "bloat-handler", Executors, further;
}

impl Display for Kind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name is no kind's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownKind(String);

impl Display for UnknownKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let names = Kind::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>();
        write!(
            f,
            "no nemesis is called {:?}; there are {}",
            self.0,
            names.join(", ")
        )
    }
}

impl std::error::Error for UnknownKind {}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        let found = Self::ALL.iter().find(|kind| kind.name() == name);
        found.copied().ok_or_else(|| UnknownKind(name.to_owned()))
    }
}
