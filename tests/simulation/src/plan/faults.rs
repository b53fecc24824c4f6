//! What goes wrong, when, and for how long.

use std::{collections::BTreeSet, fmt, str::FromStr};

use rand::{RngExt as _, rngs::StdRng};

use super::STORM_MS;
use crate::network::{Link, Node, Server};

/// So many servers make the ensemble.
pub const ENSEMBLE: u8 = 3;

/// Kinds of faults, as they are chosen and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// A process is killed.
    Kill,
    /// A process is asked to stop, and started again.
    Stop,
    /// A process stands still.
    Pause,
    /// A link is silent, in one direction or in both.
    Partition,
    /// Connections are cut.
    Cut,
    /// A session expires although its client is well.
    Expiry,
    /// A server of the ensemble is restarted: watches are dead.
    ZooKeeperRestart,
    /// A server of the ensemble applies what is decided later than others.
    Lag,
    /// The ensemble chooses another leader.
    Leader,
    /// The ensemble has no quorum.
    Quorum,
    /// Redis answers nobody.
    RedisPause,
    /// Redis is away, and comes back as it was.
    RedisRestart,
    /// Redis comes back without the last things that were written.
    RedisLoss,
    /// Redis takes no more data.
    RedisFull,
    /// Redis may only be read.
    RedisReadonly,
    /// The disk of the results is full, slow, or does not sync.
    Disk,
    /// Messages are late.
    Delay,
    /// A task kills whoever runs it.
    Poison,
    /// A submitter dies.
    Submitter,
    /// Clients of Redis send requests twice.
    Repeat,
    /// An operator pauses a queue.
    Switch,
}

impl FaultKind {
    /// All kinds.
    pub const ALL: [Self; 21] = [
        Self::Kill,
        Self::Stop,
        Self::Pause,
        Self::Partition,
        Self::Cut,
        Self::Expiry,
        Self::ZooKeeperRestart,
        Self::Lag,
        Self::Leader,
        Self::Quorum,
        Self::RedisPause,
        Self::RedisRestart,
        Self::RedisLoss,
        Self::RedisFull,
        Self::RedisReadonly,
        Self::Disk,
        Self::Delay,
        Self::Poison,
        Self::Submitter,
        Self::Repeat,
        Self::Switch,
    ];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Stop => "stop",
            Self::Pause => "pause",
            Self::Partition => "partition",
            Self::Cut => "cut",
            Self::Expiry => "expiry",
            Self::ZooKeeperRestart => "zookeeper-restart",
            Self::Lag => "lag",
            Self::Leader => "leader",
            Self::Quorum => "quorum",
            Self::RedisPause => "redis-pause",
            Self::RedisRestart => "redis-restart",
            Self::RedisLoss => "redis-loss",
            Self::RedisFull => "redis-full",
            Self::RedisReadonly => "redis-readonly",
            Self::Disk => "disk",
            Self::Delay => "delay",
            Self::Poison => "poison",
            Self::Submitter => "submitter",
            Self::Repeat => "repeat",
            Self::Switch => "switch",
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Which kinds of faults strike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(BTreeSet<FaultKind>);

impl Faults {
    /// All kinds.
    #[must_use]
    pub fn all() -> Self {
        Self(FaultKind::ALL.into())
    }

    /// No kind.
    #[must_use]
    pub const fn none() -> Self {
        Self(BTreeSet::new())
    }

    /// Whether a kind may strike.
    #[must_use]
    pub fn contains(&self, kind: FaultKind) -> bool {
        self.0.contains(&kind)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        if self.0.len() == FaultKind::ALL.len() {
            return f.write_str("all");
        }
        let names: Vec<&str> = self.0.iter().map(|kind| kind.name()).collect();
        f.write_str(&names.join(","))
    }
}

impl FromStr for Faults {
    type Err = String;

    /// `all`, `none`, or names with commas between.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => return Ok(Self::all()),
            "none" => return Ok(Self::none()),
            _ => {}
        }
        let named = |name: &str| {
            let kind = FaultKind::ALL.into_iter().find(|kind| kind.name() == name);
            kind.ok_or_else(|| {
                let names: Vec<&str> = FaultKind::ALL.iter().map(|kind| kind.name()).collect();
                format!(
                    "no kind of fault is called {name:?}; there are all, none, {}",
                    names.join(", ")
                )
            })
        };
        text.split(',').map(named).collect::<Result<_, _>>().map(Self)
    }
}

/// Some servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// One.
    One(Server),
    /// The whole ensemble.
    Ensemble,
}

impl Target {
    /// Which servers these are.
    #[must_use]
    pub fn servers(self) -> Vec<Server> {
        match self {
            Self::One(server) => vec![server],
            Self::Ensemble => (0..ENSEMBLE).map(Server::ZooKeeper).collect(),
        }
    }

    fn draw(rng: &mut StdRng) -> Self {
        match rng.random_range(0..4) {
            0 => Self::One(Server::ZooKeeper(rng.random_range(0..ENSEMBLE))),
            1 => Self::Ensemble,
            _ => Self::One(Server::Redis),
        }
    }
}

/// A fault, with all that it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Kill what runs on the node.
    Kill(Node),
    /// Ask it to stop.
    Stop(Node),
    /// Let it stand still.
    Pause(Node),
    /// Put this between a node and these servers.
    Link(Node, Target, Link),
    /// Cut the connections of a node to these servers.
    Cut(Node, Target),
    /// Cut all connections to these servers.
    CutAll(Target),
    /// End the newest session of a node.
    Expire(Node),
    /// Take a server of the ensemble down.
    ZooKeeperDown(u8),
    /// Let a server of the ensemble lag.
    Lag(u8),
    /// Let the ensemble choose another leader.
    Leader,
    /// Let the ensemble be without a quorum.
    Quorum,
    /// Let Redis hear nothing.
    RedisPause,
    /// Take Redis down; it comes back without that many of its last writes.
    RedisDown(usize),
    /// Redis refuses what needs memory.
    RedisFull,
    /// Redis refuses to write.
    RedisReadonly,
    /// The disk is full.
    DiskFull,
    /// The disk is slow, and its syncs fail now and then.
    DiskSlow,
    /// Messages are later than usual.
    Delay,
}

/// When a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// After so many milliseconds.
    Ms(u64),
    /// When the network has delivered so many messages: most of them are part of something that is going on.
    Messages(u64),
}

/// A fault at its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strike {
    /// When.
    pub when: When,
    /// For how long.
    pub for_ms: u64,
    /// Of which kind it counts.
    pub kind: FaultKind,
    /// What.
    pub fault: Fault,
}

/// Most runs deliver so many messages while there is something to do.
const MESSAGES: u64 = 2000;

/// Draws the faults of a run. `members` are the nodes of daemons.
pub(super) fn strikes(rng: &mut StdRng, kinds: &Faults, members: &[Node]) -> Vec<Strike> {
    let struck: Vec<FaultKind> = kinds.0.iter().copied().filter(|kind| is_struck(*kind)).collect();
    if struck.is_empty() {
        return Vec::new();
    }
    // Some runs have a storm, some a few kinds at a time: both find what the other one hides.
    let count = [1, 4, 12, 25][rng.random_range(0..4)];
    let choice: Vec<FaultKind> = match rng.random_bool(0.5) {
        true => struck,
        false => (0..rng.random_range(1..=3))
            .map(|_| struck[rng.random_range(0..struck.len())])
            .collect(),
    };
    (0..count)
        .map(|_| {
            let kind = choice[rng.random_range(0..choice.len())];
            Strike {
                when: match rng.random_ratio(1, 3) {
                    true => When::Ms(rng.random_range(0..STORM_MS)),
                    false => When::Messages(rng.random_range(0..MESSAGES)),
                },
                for_ms: [50, 500, 2000, 5000, 12_000][rng.random_range(0..5)],
                kind,
                fault: fault(rng, kind, members),
            }
        })
        .collect()
}

/// Some kinds are part of the jobs, or last from the beginning to the end.
const fn is_struck(kind: FaultKind) -> bool {
    !matches!(
        kind,
        FaultKind::Poison | FaultKind::Submitter | FaultKind::Repeat | FaultKind::Switch
    )
}

fn fault(rng: &mut StdRng, kind: FaultKind, members: &[Node]) -> Fault {
    let node = members[rng.random_range(0..members.len())];
    let index = rng.random_range(0..ENSEMBLE);
    let target = Target::draw(rng);
    match kind {
        FaultKind::Kill
        | FaultKind::Poison
        | FaultKind::Submitter
        | FaultKind::Repeat
        | FaultKind::Switch => Fault::Kill(node),
        FaultKind::Stop => Fault::Stop(node),
        FaultKind::Pause => Fault::Pause(node),
        FaultKind::Partition => {
            let link = [Link::Silent, Link::DeafServer, Link::DeafProcess][rng.random_range(0..3)];
            Fault::Link(node, target, link)
        }
        FaultKind::Cut => match rng.random_bool(0.3) {
            true => Fault::CutAll(target),
            false => Fault::Cut(node, target),
        },
        FaultKind::Expiry => Fault::Expire(node),
        FaultKind::ZooKeeperRestart => Fault::ZooKeeperDown(index),
        FaultKind::Lag => Fault::Lag(index),
        FaultKind::Leader => Fault::Leader,
        FaultKind::Quorum => Fault::Quorum,
        FaultKind::RedisPause => Fault::RedisPause,
        FaultKind::RedisRestart => Fault::RedisDown(0),
        FaultKind::RedisLoss => Fault::RedisDown(rng.random_range(1..40)),
        FaultKind::RedisFull => Fault::RedisFull,
        FaultKind::RedisReadonly => Fault::RedisReadonly,
        FaultKind::Disk => [Fault::DiskFull, Fault::DiskSlow][rng.random_range(0..2)],
        FaultKind::Delay => Fault::Delay,
    }
}
