//! Who reaches whom, how late, and what gets lost.
//!
//! ```text
//!  process ── Wire ── requests, first in first out, each later by chance ──► server
//!     ▲                                                                        │ effect, at its arrival
//!     └───────────── replies and pushes, first in first out ◄── ServerEnd ─────┘
//! ```
//!
//! A [`Wire`] is one connection, as TCP gives it: what arrives arrives in order, each message later than it was sent
//! by chance. What a cut loses is a tail of what was on the way; what it does not lose may arrive long after. A silent
//! partition loses nothing and tells nobody: what is on the way waits until it heals, or is lost by a cut.
//!
//! One task delivers everything, in the order of time; all chance comes from one generator. So a run is given by its
//! seed.

mod state;
mod wire;

use std::{
    fmt,
    sync::{Arc, MutexGuard},
    time::Duration,
};

use rand::{SeedableRng as _, rngs::StdRng};
use tokio::sync::Notify;

use self::state::{Direction, State};
pub use self::wire::{Cut, Responder, ServerEnd, Wire};
use crate::{clockwork::Clockwork, trace::Trace};

/// A machine, on which processes follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node(pub u16);

/// One process: the `life`-th one on its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Process {
    /// Where it runs. Partitions are the node's, and last when the process is followed by another one.
    pub node: Node,
    /// Which one it is there, from 1.
    pub life: u32,
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.node.0, self.life)
    }
}

/// What a process connects to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Server {
    /// One server of the ensemble.
    ZooKeeper(u8),
    /// The store.
    Redis,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZooKeeper(index) => write!(f, "zookeeper{index}"),
            Self::Redis => f.write_str("redis"),
        }
    }
}

/// What lies between a node and a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Link {
    /// All is delivered.
    #[default]
    Open,
    /// Nothing is delivered, and nobody is told.
    Silent,
    /// The server hears nothing; what it says is delivered.
    DeafServer,
    /// The process hears nothing; what it says is delivered.
    DeafProcess,
}

impl Link {
    fn blocks(self, direction: Direction) -> bool {
        match self {
            Self::Open => false,
            Self::Silent => true,
            Self::DeafServer => direction == Direction::Up,
            Self::DeafProcess => direction == Direction::Down,
        }
    }
}

/// How late messages are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delays {
    /// At least this, in milliseconds; 1 or more.
    pub min_ms: u64,
    /// At most this, in milliseconds.
    pub max_ms: u64,
    /// One message in so many is sent again by TCP and comes 200 ms later still; 0 = none is.
    pub resent_one_in: u32,
}

impl Default for Delays {
    fn default() -> Self {
        Self {
            min_ms: 1,
            max_ms: 3,
            resent_one_in: 0,
        }
    }
}

/// The network of one run. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Network(Arc<Shared>);

struct Shared {
    clockwork: Clockwork<State>,
    /// A process goes on.
    resumed: Notify,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").finish_non_exhaustive()
    }
}

impl Network {
    /// A network where all is well. Spawns the task that delivers, which runs as long as the runtime does.
    #[must_use]
    pub fn start(seed: u64, delays: Delays, trace: Trace) -> Self {
        let network = Self(Arc::new(Shared {
            clockwork: Clockwork::new(State::new(StdRng::seed_from_u64(seed), delays, trace)),
            resumed: Notify::new(),
        }));
        tokio::spawn(network.clone().deliver());
        network
    }

    /// Connects `process` to `server`: the wire, after a round trip.
    ///
    /// Waits for ever while the link is silent or the process is dead.
    ///
    /// # Errors
    /// When the server is down, or goes down meanwhile.
    pub async fn connect(&self, process: Process, server: Server) -> Result<Wire, Cut> {
        let wire = Wire::open(self, process, server);
        wire.call(|| ()).await?;
        Ok(wire)
    }

    /// Puts `link` between a node and a server, for all connections, those that are there, too.
    pub fn set_link(&self, node: Node, server: Server, link: Link) {
        self.change(|state| state.set_link(node, server, link));
    }

    /// Cuts all connections of a node to a server. Returns how many.
    pub fn cut(&self, node: Node, server: Server) -> usize {
        self.change(|state| state.cut(|process, at| process.node == node && at == server))
    }

    /// Cuts all connections to a server. Returns how many.
    pub fn cut_server(&self, server: Server) -> usize {
        self.change(|state| state.cut(|_, at| at == server))
    }

    /// Takes a server down: all connections to it are cut, nothing more reaches it, new ones are refused.
    pub fn stop_server(&self, server: Server) {
        self.change(|state| state.stop_server(server));
    }

    /// Takes the server up again.
    pub fn start_server(&self, server: Server) {
        self.change(|state| state.start_server(server));
    }

    /// Lets a server hear nothing until it is resumed. What it has said already is delivered.
    pub fn pause_server(&self, server: Server) {
        self.change(|state| state.pause_server(server));
    }

    /// Ends the pause of a server.
    pub fn resume_server(&self, server: Server) {
        self.change(|state| state.resume_server(server));
    }

    /// The process is no more: it sends nothing and hears nothing again. What it sent before may arrive.
    pub fn kill(&self, process: Process) {
        self.change(|state| state.kill(process));
    }

    /// Lets a process hear nothing, and keeps what it sends, until it is resumed.
    pub fn pause(&self, process: Process) {
        self.change(|state| state.pause(process));
    }

    /// Ends the pause of a process.
    pub fn resume(&self, process: Process) {
        self.change(|state| state.resume(process));
        self.0.resumed.notify_waiters();
    }

    /// Waits while the process is paused, and for ever when it is dead. Cancel safe.
    pub async fn awake(&self, process: Process) {
        loop {
            let resumed = self.0.resumed.notified();
            if self.is_dead(process) {
                std::future::pending::<()>().await;
            }
            if !self.is_paused(process) {
                return;
            }
            resumed.await;
        }
    }

    /// Whether the process is dead. Whatever it would do to the world outside must not happen.
    #[must_use]
    pub fn is_dead(&self, process: Process) -> bool {
        self.state().is_dead(process)
    }

    /// Whether the process is paused.
    #[must_use]
    pub fn is_paused(&self, process: Process) -> bool {
        self.state().is_paused(process)
    }

    /// From now on messages are so late.
    pub fn set_delays(&self, delays: Delays) {
        self.state().delays = delays;
    }

    /// Ends all partitions and pauses. Servers that are down stay down.
    pub fn heal(&self) {
        self.change(State::heal);
        self.0.resumed.notify_waiters();
    }

    /// How many messages were delivered.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.state().delivered
    }

    /// Waits until so many messages were delivered since the beginning: a moment in which something is going on, unlike
    /// most moments. Cancel safe.
    pub async fn busy(&self, messages: u64) {
        let alarm = self.state().alarm(messages);
        if let Some(alarm) = alarm {
            // It is kept until it is given.
            let _ = alarm.await;
        }
    }

    /// Lets nobody wait any longer for [so many messages](Self::busy).
    pub fn release(&self) {
        self.state().release();
    }

    async fn deliver(self) {
        let step = |now| {
            // The lock is not held while an effect runs: most send something.
            let Some(action) = self.state().take_due(now) else {
                return false;
            };
            action();
            true
        };
        self.0.clockwork.run(step).await;
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        self.0.clockwork.change(change)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.clockwork.state()
    }
}

const fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[cfg(test)]
mod tests;
