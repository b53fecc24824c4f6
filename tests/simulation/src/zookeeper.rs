//! ZooKeeper as a model: an ensemble whose followers lag, with sessions, watches and all their faults.
//!
//! ```text
//!  SessionClient ── Wire ──► server ── hop ──► leader: one order of transactions, sessions, expiry
//!        ▲                   tree, watches          │
//!        └── answers, news ────┘  ▲── stream, late ─┘
//! ```
//!
//! As in ZooKeeper: reads are answered by the server that the client is connected to, from what it has applied; writes
//! and syncs go to the leader, and are answered when that server has applied them; each connection's answers keep the
//! order of its requests, and what watches tell comes between them where it belongs. A session's end deletes its
//! ephemerals in one transaction. A client that has seen more than a server knows is sent away. Requests that come
//! through a server that the session has left are refused.
//!
//! Reading order: [`Ensemble`], `faults` (what can go wrong with it), `world` (what goes on in the order of time), `leader`, `server`, `tree`,
//! `watches`, `client`.

mod asked;
mod client;
mod faults;
mod flaw;
mod leader;
mod message;
mod server;
mod tree;
mod txn;
mod watches;
mod world;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, MutexGuard},
};

use distjob_runtime::zk::client::Connect;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use self::{
    client::Connector,
    message::{Greeting, Request},
    server::{ConnectionId, Origin},
    world::World,
};
pub use self::{
    flaw::Flaw,
    tree::{Change, Znode},
    txn::{Cause, Txn},
};
use crate::{
    clockwork::Clockwork,
    network::{Network, Process, Server, ServerEnd},
    tally::Tally,
    trace::Trace,
};

/// How much later than the leader a follower applies a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lag {
    /// At least this, in milliseconds.
    pub min_ms: u64,
    /// At most this, in milliseconds.
    pub max_ms: u64,
}

impl Lag {
    /// What it is in one room.
    pub const SHORT: Self = Self { min_ms: 0, max_ms: 5 };

    /// A server's habit.
    fn any(rng: &mut StdRng) -> Self {
        let max_ms = [5, 5, 50, 500][rng.random_range(0..4)];
        Self { min_ms: 0, max_ms }
    }

    fn draw(self, rng: &mut StdRng) -> u64 {
        rng.random_range(self.min_ms..=self.max_ms.max(self.min_ms))
    }
}

/// What an ensemble is like.
#[derive(Debug, Clone, Copy)]
pub struct EnsembleSettings {
    /// How many servers there are: odd, at least 1.
    pub servers: usize,
    /// How far followers are behind when nothing is said about them. Without this each one has a habit of its own.
    pub lag: Option<Lag>,
    /// What is wrong with it, on purpose.
    pub flaw: Option<Flaw>,
}

impl Default for EnsembleSettings {
    fn default() -> Self {
        Self {
            servers: 3,
            lag: Some(Lag::SHORT),
            flaw: None,
        }
    }
}

/// The ensemble of one run. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Ensemble(Arc<Shared>);

struct Shared {
    network: Network,
    clockwork: Clockwork<World>,
    tally: Tally,
}

impl fmt::Debug for Ensemble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ensemble").finish_non_exhaustive()
    }
}

impl Ensemble {
    /// An ensemble where all is well. Spawns the task in which it lives, which runs as long as the runtime does.
    #[must_use]
    pub fn start(network: &Network, seed: u64, settings: EnsembleSettings, trace: Trace) -> Self {
        let ensemble = Self(Arc::new(Shared {
            network: network.clone(),
            clockwork: Clockwork::new(World::new(settings, StdRng::seed_from_u64(seed), trace)),
            tally: Tally::default(),
        }));
        tokio::spawn(ensemble.clone().live());
        ensemble
    }

    /// What opens sessions for a process, with the servers that an address names: `zookeeper0:2181,zookeeper2:2181`, say;
    /// with all when it names none of them.
    #[must_use]
    pub fn connector(&self, process: Process) -> Arc<dyn Connect> {
        Arc::new(Connector::new(self.clone(), process))
    }

    /// How many servers there are, up or not: their indexes are those of [`Server::ZooKeeper`].
    #[must_use]
    pub fn servers(&self) -> usize {
        self.world().servers.len()
    }

    /// The server that leads, if one does.
    #[must_use]
    pub fn leader(&self) -> Option<usize> {
        self.world().leading
    }

    /// All that took effect until now, in order.
    #[must_use]
    pub fn history(&self) -> Vec<Arc<Txn>> {
        self.world().leader.log.clone()
    }

    /// All znodes as the leader knows them, by path.
    #[must_use]
    pub fn znodes(&self) -> BTreeMap<String, Znode> {
        self.world().leader.tree.znodes().clone()
    }

    /// The sessions that are alive, of one process or of all.
    #[must_use]
    pub fn sessions(&self, process: Option<Process>) -> Vec<i64> {
        self.world().leader.sessions_of(process)
    }

    /// What each process has asked until now, and was told by watches.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.0.tally
    }

    /// How many writes took effect after their client had given up the connection.
    #[must_use]
    pub fn late_writes(&self) -> u64 {
        self.world().late_writes
    }

    fn network(&self) -> &Network {
        &self.0.network
    }

    fn shuffled(&self, servers: &[usize]) -> Vec<usize> {
        self.world().shuffled(servers)
    }

    /// The servers of an address; all of them when it names none.
    fn named_in(&self, address: &str) -> Vec<usize> {
        let hosts: Vec<&str> = address
            .split(',')
            .map(|place| place.split([':', '/']).next().unwrap_or(place))
            .collect();
        let all = 0..self.servers();
        let is_named = |server: &usize| hosts.contains(&wire_name(*server).to_string().as_str());
        let named: Vec<usize> = all.clone().filter(is_named).collect();
        if named.is_empty() { all.collect() } else { named }
    }

    fn next_connection(&self) -> ConnectionId {
        self.world().next_connection()
    }

    fn greet(&self, server: usize, end: ServerEnd, greeting: Greeting) {
        self.change(|world| world.greet(server, end, greeting));
    }

    fn hear(&self, server: usize, origin: Origin, request: Request) {
        self.change(|world| world.hear(server, origin, request));
    }

    async fn live(self) {
        self.0.clockwork.run(|now| self.world().step(now)).await;
    }

    fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        self.0.clockwork.change(change)
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.clockwork.state()
    }
}

/// A server as the network knows it.
fn wire_name(server: usize) -> Server {
    Server::ZooKeeper(u8::try_from(server).unwrap_or(u8::MAX))
}

#[cfg(test)]
mod tests;
