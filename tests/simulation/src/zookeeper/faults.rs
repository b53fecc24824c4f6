//! What can go wrong with an ensemble.

use std::time::Duration;

use tokio::time::sleep;

use super::{Ensemble, Lag, wire_name, world::World};
use crate::network::Process;

impl Ensemble {
    /// From now on a follower is so far behind.
    pub fn set_lag(&self, server: usize, lag: Lag) {
        self.world().set_lag(server, lag);
    }

    /// Lets a follower apply nothing more until it is thawed. It goes on answering reads.
    pub fn freeze(&self, server: usize) {
        self.world().freeze(server);
    }

    /// Lets a frozen follower catch up.
    pub fn thaw(&self, server: usize) {
        self.change(|world| world.thaw(server));
    }

    /// Ends all sessions of a process, which hears of it when it hears from a server. Returns how many.
    pub fn expire(&self, process: Process) -> usize {
        self.change(|world| {
            let sessions = world.leader.sessions_of(Some(process));
            for session in &sessions {
                world.end_session(*session);
            }
            sessions.len()
        })
    }

    /// Takes a server down. Without a quorum nobody leads until [`Self::start_server`] and an election.
    ///
    /// When it was the leader, the others elect one of them `pause` later.
    pub async fn stop_server(&self, server: usize, pause: Duration) {
        self.0.network.stop_server(wire_name(server));
        let must_elect = self.change(|world| {
            world.stop(server);
            world.leading == Some(server) || !world.is_quorum(world.voters().len())
        });
        if must_elect {
            self.elect(pause).await;
        }
    }

    /// Takes a server up again. When nobody leads, for want of a quorum, an election follows `pause` later.
    pub async fn start_server(&self, server: usize, pause: Duration) {
        self.change(|world| world.start(server));
        if self.leader().is_none() {
            self.elect(pause).await;
        } else {
            self.0.network.start_server(wire_name(server));
        }
    }

    /// Lets the servers be without a leader for `pause`: all connections are closed, none is served, and of what was
    /// on its way to the leader some takes effect. After it one of those that are up leads, if they are a quorum.
    pub async fn elect(&self, pause: Duration) {
        self.change(World::lose_leader);
        for server in 0..self.servers() {
            self.0.network.stop_server(wire_name(server));
        }
        sleep(pause).await;
        self.serve_again();
    }

    /// Lets the others elect another leader while the one that led is cut off from them, and believes for a time that
    /// nothing has changed: it answers its clients' reads, pings and syncs from what it knew, and no write. Nothing
    /// happens when the others are too few.
    pub async fn depose_leader(&self, pause: Duration, unaware: Duration) {
        let Some(deposed) = self.change(World::depose) else {
            return;
        };
        for server in (0..self.servers()).filter(|server| *server != deposed) {
            self.0.network.stop_server(wire_name(server));
        }
        sleep(pause).await;
        self.serve_again();
        sleep(unaware).await;
        self.0.network.stop_server(wire_name(deposed));
        if self.change(|world| world.rejoin(deposed)) {
            self.0.network.start_server(wire_name(deposed));
        }
    }

    /// Elects a leader if that can be; those who follow it serve clients.
    fn serve_again(&self) {
        let serving = self.change(|world| {
            world.elect();
            match world.leading {
                Some(_) => world.voters(),
                None => Vec::new(),
            }
        });
        for server in serving {
            self.0.network.start_server(wire_name(server));
        }
    }
}
