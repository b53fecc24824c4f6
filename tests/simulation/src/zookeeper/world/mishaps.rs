//! Servers that are late, gone, or led by nobody.

use rand::RngExt as _;

use super::{Event, Lag, World};

impl World {
    /// From now on a server is so late.
    pub(in crate::zookeeper) fn set_lag(&mut self, server: usize, lag: Lag) {
        self.servers[server].lag = lag;
    }

    pub(in crate::zookeeper) fn freeze(&mut self, server: usize) {
        self.servers[server].is_frozen = true;
    }

    pub(in crate::zookeeper) fn thaw(&mut self, server: usize) {
        if std::mem::take(&mut self.servers[server].is_frozen) {
            self.plan_apply(server);
        }
    }

    /// Nobody leads any more: what is on its way to the leader takes effect or does not, the older before the younger.
    pub(in crate::zookeeper) fn lose_leader(&mut self) {
        let is_heard = |event: &Event| matches!(event, Event::Heard { .. });
        let waiting: Vec<_> = self
            .plan
            .iter()
            .filter(|(_, event)| is_heard(event))
            .map(|(key, _)| *key)
            .collect();
        let kept = self.rng.random_range(0..=waiting.len());
        for (index, key) in waiting.into_iter().enumerate() {
            if let Some(Event::Heard {
                server,
                origin,
                session,
                asked,
            }) = self.plan.remove(&key)
                && index < kept
            {
                self.lead(server, origin, session, asked);
            }
        }
        self.leading = None;
    }

    /// The servers that hear each other.
    pub(in crate::zookeeper) fn voters(&self) -> Vec<usize> {
        let votes = |server: &usize| self.servers[*server].is_up && !self.servers[*server].is_deposed;
        (0..self.servers.len()).filter(votes).collect()
    }

    /// Whether these are enough to have a leader.
    pub(in crate::zookeeper) fn is_quorum(&self, voters: usize) -> bool {
        voters * 2 > self.servers.len()
    }

    /// Takes the lead from a server that goes on as if it had it, until [`Self::rejoin`]. Not when the others are too
    /// few. Which server that is.
    pub(in crate::zookeeper) fn depose(&mut self) -> Option<usize> {
        let deposed = self.leading?;
        if !self.is_quorum(self.voters().len() - 1) {
            return None;
        }
        self.lose_leader();
        self.servers[deposed].is_deposed = true;
        self.servers[deposed].stream.clear();
        Some(deposed)
    }

    /// A deposed server hears of it, and learns what it missed. Whether it serves again: somebody must lead.
    pub(in crate::zookeeper) fn rejoin(&mut self, server: usize) -> bool {
        let deposed = &mut self.servers[server];
        if !std::mem::take(&mut deposed.is_deposed) || !deposed.is_up {
            return false;
        }
        deposed.restart(self.leader.tree.clone(), self.leader.zxid);
        self.leading.is_some()
    }

    /// One that is up leads from now on, and all of them know what it knows.
    pub(in crate::zookeeper) fn elect(&mut self) {
        let up = self.voters();
        if self.leading.is_some() || !self.is_quorum(up.len()) {
            return;
        }
        self.leading = Some(up[self.rng.random_range(0..up.len())]);
        self.leader.succeed();
        for server in up {
            self.servers[server].restart(self.leader.tree.clone(), self.leader.zxid);
        }
        self.plan_sessions();
    }

    /// A server is gone, with all that it knew.
    pub(in crate::zookeeper) fn stop(&mut self, server: usize) {
        self.servers[server].is_up = false;
        self.servers[server].is_deposed = false;
        self.servers[server].is_frozen = false;
    }

    /// A server comes back, and learns what the leader knows before it talks to anybody.
    pub(in crate::zookeeper) fn start(&mut self, server: usize) {
        let stopped = &mut self.servers[server];
        stopped.is_up = true;
        stopped.restart(self.leader.tree.clone(), self.leader.zxid);
    }
}
