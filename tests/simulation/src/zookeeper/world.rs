//! The ensemble's servers, and what goes on between them, in the order of time.

mod mishaps;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use rand::{RngExt as _, rngs::StdRng, seq::SliceRandom as _};
use tokio::time::Instant;

use super::{
    Cause, EnsembleSettings, Flaw, Lag, Txn,
    leader::Leader,
    message::{Greeting, Refusal, Reply, Request},
    server::{Connection, ConnectionId, FromLeader, Origin, Server},
};
use crate::{
    clockwork::Timed,
    network::{Process, ServerEnd},
    trace::Trace,
};

/// How long the longest way from a server to the leader is, in milliseconds.
const HOP_MS_MAX: u64 = 2;

/// What happens later.
#[derive(Debug)]
enum Event {
    /// The leader hears of a request.
    Heard {
        server: usize,
        origin: Origin,
        session: i64,
        asked: Asked,
    },
    /// A server applies what is first in its stream.
    Apply(usize),
    /// The sessions are looked at.
    Sessions,
}

/// What a server asks the leader.
#[derive(Debug)]
enum Asked {
    Open(Process, Duration),
    Reopen,
    Request(Request),
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) leader: Leader,
    pub(super) servers: Vec<Server>,
    /// Which server leads; none while they cannot agree.
    pub(super) leading: Option<usize>,
    /// Writes that were executed though their client had given up the connection.
    pub(super) late_writes: u64,
    flaw: Option<Flaw>,
    rng: StdRng,
    trace: Trace,
    plan: BTreeMap<(Instant, u64), Event>,
    next_plan: u64,
    next_connection: ConnectionId,
    sessions_planned: Option<Instant>,
}

impl Timed for World {
    fn next_at(&self) -> Option<Instant> {
        self.plan.first_key_value().map(|(key, _)| key.0)
    }
}

impl World {
    pub(super) fn new(settings: EnsembleSettings, mut rng: StdRng, trace: Trace) -> Self {
        let servers = (0..settings.servers).map(|_| {
            let lag = settings.lag.unwrap_or_else(|| Lag::any(&mut rng));
            Server::new(lag, settings.flaw)
        });
        let servers = servers.collect();
        Self {
            leader: Leader::new(settings.flaw),
            servers,
            leading: Some(0),
            late_writes: 0,
            flaw: settings.flaw,
            rng,
            trace,
            plan: BTreeMap::new(),
            next_plan: 0,
            next_connection: 0,
            sessions_planned: None,
        }
    }

    /// Lets the next thing happen that is due. Nothing is, when it returns false.
    pub(super) fn step(&mut self, now: Instant) -> bool {
        match self.plan.first_entry() {
            Some(first) if first.key().0 <= now => match first.remove() {
                Event::Heard {
                    server,
                    origin,
                    session,
                    asked,
                } => self.lead(server, origin, session, asked),
                Event::Apply(server) => self.apply(server, now),
                Event::Sessions => self.look_at_sessions(now),
            },
            _ => return false,
        }
        true
    }

    /// A number for a connection that is to be.
    pub(super) fn next_connection(&mut self) -> ConnectionId {
        self.next_connection += 1;
        self.next_connection
    }

    /// The first words of a client on a new connection.
    pub(super) fn greet(&mut self, server: usize, end: ServerEnd, greeting: Greeting) {
        if greeting.zxid > self.servers[server].zxid {
            // It has seen more than this server knows.
            end.close();
            return;
        }
        let id = greeting.client.connection;
        let asked = match greeting.session {
            0 => Asked::Open(end.process(), Duration::from_millis(greeting.session_timeout_ms)),
            _ => Asked::Reopen,
        };
        let session = greeting.session;
        self.servers[server].connect(id, Connection::new(end, greeting));
        let origin = Origin {
            connection: id,
            xid: 0,
        };
        self.ask_leader(server, origin, session, asked);
    }

    /// A request arrives at a server.
    pub(super) fn hear(&mut self, server: usize, origin: Origin, request: Request) {
        let Some(session) = self.servers[server].session_of(origin.connection) else {
            return;
        };
        let is_deposed = self.servers[server].is_deposed;
        if !is_deposed {
            self.leader.touch(session);
        }
        self.servers[server].queue(origin, request.clone());
        match request {
            // A sync asks no quorum: who believes that it leads answers.
            Request::Sync if is_deposed || self.flaw == Some(Flaw::HollowSync) => {
                self.servers[server].complete(origin, Ok(Reply::Done));
            }
            Request::Write(_) | Request::Sync | Request::Close => {
                self.ask_leader(server, origin, session, Asked::Request(request));
            }
            _ => {}
        }
    }

    fn ask_leader(&mut self, server: usize, origin: Origin, session: i64, asked: Asked) {
        let hop_ms = match self.leading {
            Some(leading) if leading == server => 0,
            _ => self.rng.random_range(0..=HOP_MS_MAX),
        };
        let at = self.servers[server]
            .sent_until
            .max(Instant::now() + Duration::from_millis(hop_ms));
        self.servers[server].sent_until = at;
        self.at(
            at,
            Event::Heard {
                server,
                origin,
                session,
                asked,
            },
        );
    }

    /// What the leader does with what it hears. Without one it is lost.
    fn lead(&mut self, server: usize, origin: Origin, session: i64, asked: Asked) {
        if self.leading.is_none() || self.servers[server].is_deposed {
            return;
        }
        let done = match asked {
            Asked::Open(process, timeout) => Ok(self.leader.open(process, server, timeout)),
            Asked::Reopen => {
                let answer = self.leader.move_to(session, server);
                return self.answer(server, origin, answer);
            }
            Asked::Request(Request::Write(writes)) => self.leader.write(session, server, &writes),
            Asked::Request(Request::Close) => {
                self.leader.close(session, Cause::Closed).ok_or(Refusal::NotYours)
            }
            Asked::Request(_) => return self.answer(server, origin, Ok(Reply::Done)),
        };
        match done {
            Ok(txn) => {
                if txn.cause == Cause::Write && self.servers[server].is_given_up(origin.connection) {
                    self.late_writes += 1;
                }
                self.tell_all(&txn, Some((server, origin)));
            }
            Err(refusal) => self.answer(server, origin, Err(refusal)),
        }
    }

    /// Sends a transaction to all servers.
    fn tell_all(&mut self, txn: &Arc<Txn>, from: Option<(usize, Origin)>) {
        self.trace.mark(&txn.zxid.to_le_bytes());
        self.trace.note(|| txn.to_string());
        for server in 0..self.servers.len() {
            let origin = from.filter(|(at, _)| *at == server).map(|(_, origin)| origin);
            self.tell(server, FromLeader::Txn(Arc::clone(txn), origin));
        }
        self.plan_sessions();
    }

    fn answer(&mut self, server: usize, origin: Origin, answer: Result<Reply, Refusal>) {
        self.tell(server, FromLeader::Answer(origin, answer));
    }

    fn tell(&mut self, server: usize, what: FromLeader) {
        let lag_ms = match self.leading {
            Some(leading) if leading == server => 0,
            _ => self.servers[server].lag.draw(&mut self.rng),
        };
        let behind = &mut self.servers[server];
        if !behind.is_up || behind.is_deposed {
            return;
        }
        let at = Instant::now() + Duration::from_millis(lag_ms);
        let at = behind.stream.back().map_or(at, |(last, _)| at.max(*last));
        behind.stream.push_back((at, what));
        if behind.stream.len() == 1 && !behind.is_frozen {
            self.at(at, Event::Apply(server));
        }
    }

    fn apply(&mut self, server: usize, now: Instant) {
        let behind = &mut self.servers[server];
        // A restart or a freeze may have come in between.
        if behind.is_frozen || behind.stream.front().is_none_or(|(at, _)| *at > now) {
            return;
        }
        match behind.stream.pop_front() {
            Some((_, FromLeader::Txn(txn, origin))) => behind.apply(&txn, origin),
            Some((_, FromLeader::Answer(origin, answer))) => behind.complete(origin, answer),
            None => {}
        }
        self.plan_apply(server);
    }

    /// Plans to apply what is first in a server's stream.
    fn plan_apply(&mut self, server: usize) {
        if let Some((at, _)) = self.servers[server].stream.front() {
            let at = (*at).max(Instant::now());
            self.at(at, Event::Apply(server));
        }
    }

    fn look_at_sessions(&mut self, now: Instant) {
        self.sessions_planned = None;
        if self.leading.is_some() {
            for session in self.leader.overdue(now) {
                self.end_session(session);
            }
        }
        self.plan_sessions();
    }

    /// Ends a session whatever its client does.
    pub(super) fn end_session(&mut self, session: i64) {
        if let Some(txn) = self.leader.close(session, Cause::Expired) {
            self.tell_all(&txn, None);
        }
    }

    fn plan_sessions(&mut self) {
        let Some(at) = self.leader.next_end() else { return };
        if self.leading.is_some() && self.sessions_planned.is_none_or(|planned| at < planned) {
            self.sessions_planned = Some(at);
            self.at(at, Event::Sessions);
        }
    }

    /// Servers in any order.
    pub(super) fn shuffled(&mut self, servers: &[usize]) -> Vec<usize> {
        let mut servers = servers.to_vec();
        servers.shuffle(&mut self.rng);
        servers
    }

    fn at(&mut self, at: Instant, event: Event) {
        self.plan.insert((at, self.next_plan), event);
        self.next_plan += 1;
    }
}
