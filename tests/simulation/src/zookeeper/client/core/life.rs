//! How a client keeps its session: the way to a server, pings, and the way to another one.

use std::{sync::Arc, time::Duration};

use distjob_runtime::zk::{ZkError, client::SessionState};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, sleep_until},
};

use super::{Connection, Core, Lost, State};
use crate::{
    network::{Responder, Wire},
    zookeeper::{
        message::{Greeting, Peer, Request},
        server::ConnectionId,
        wire_name,
    },
};

/// Between two rounds of attempts to reach any server.
const ROUND_PAUSE: Duration = Duration::from_millis(100);

impl Core {
    /// Asks each server once for a session.
    pub(in crate::zookeeper::client) async fn open(&self) -> Result<(), ZkError> {
        for server in self.ensemble.shuffled(&self.servers) {
            if self.reach(server).await.is_ok() {
                return Ok(());
            }
        }
        Err(ZkError::Unclear("no server grants a session".to_owned()))
    }

    /// Keeps the session until it is over, or the process is.
    pub(in crate::zookeeper::client) async fn live(self: Arc<Self>) {
        loop {
            let lost = self.serve().await;
            let regained = match lost {
                Lost::Connection => self.regain().await,
                Lost::Session => Err(Lost::Session),
            };
            if regained.is_err() || self.ensemble.network().is_dead(self.process) {
                return self.end();
            }
        }
    }

    /// Pings, until the connection or the session is lost.
    async fn serve(&self) -> Lost {
        loop {
            if self.state() == SessionState::Over {
                return Lost::Session;
            }
            let Some((cut, silent_at, ping_at)) = self.deadlines() else {
                return Lost::Connection;
            };
            let now = Instant::now();
            if self.lock().is_let_go {
                return self.close().await;
            }
            if silent_at <= now {
                return self.lose();
            }
            if ping_at <= now {
                drop(self.ask(Request::Ping));
                continue;
            }
            tokio::select! {
                biased;
                () = cut => return self.lose(),
                () = self.woken.notified() => {}
                () = sleep_until(silent_at.min(ping_at)) => {}
            }
        }
    }

    /// When the connection is cut, when it counts as lost, and when the next ping is due, as things stand.
    fn deadlines(&self) -> Option<(impl Future<Output = ()> + use<>, Instant, Instant)> {
        let state = self.lock();
        let connection = state.connection.as_ref()?;
        Some((
            connection.wire.cut(),
            state.heard_at + self.silence_max(),
            state.said_at + self.ping_after(),
        ))
    }

    /// Tells the server that the session is not needed any more.
    async fn close(&self) -> Lost {
        let closing = self.ask(Request::Close);
        let Some((cut, ..)) = self.deadlines() else {
            return Lost::Connection;
        };
        tokio::select! {
            biased;
            _ = closing => Lost::Session,
            () = cut => self.lose(),
            () = sleep(self.silence_max()) => self.lose(),
        }
    }

    /// Looks for a server that takes the session up again.
    async fn regain(&self) -> Result<(), Lost> {
        let over_at = self.lock().heard_at + self.session_timeout * 7 / 5;
        loop {
            for server in self.ensemble.shuffled(&self.servers) {
                if Instant::now() >= over_at || self.ensemble.network().is_dead(self.process) {
                    return Err(Lost::Session);
                }
                match self.reach(server).await {
                    Err(Lost::Connection) => {}
                    other => return other,
                }
            }
            sleep(ROUND_PAUSE).await;
        }
    }

    /// Greets a server, and waits for what it says to that.
    async fn reach(&self, server: usize) -> Result<(), Lost> {
        let wire = Wire::open(self.ensemble.network(), self.process, wire_name(server));
        let cut = wire.cut();
        let id = self.ensemble.next_connection();
        let (sender, greeted) = oneshot::channel();
        let greeting = {
            let mut state = self.lock();
            state.connection = Some(Connection {
                id,
                server,
                wire: wire.clone(),
                greeted: Some(sender),
            });
            self.greeting(&mut state, id)
        };
        let ensemble = self.ensemble.clone();
        drop(wire.request(move |responder: Responder<()>| {
            ensemble.greet(server, responder.end().clone(), greeting);
        }));
        drop(wire);
        let answer = tokio::select! {
            biased;
            answer = greeted => answer.unwrap_or(Err(Lost::Connection)),
            () = cut => Err(Lost::Connection),
            () = sleep(self.silence_max()) => Err(Lost::Connection),
        };
        if answer.is_err() {
            self.lock().connection = None;
        }
        answer
    }

    fn greeting(&self, state: &mut State, id: ConnectionId) -> Greeting {
        let (data_watches, child_watches) = state.watched.once_paths();
        Greeting {
            client: Peer {
                core: self.this.clone(),
                connection: id,
            },
            session: state.session,
            session_timeout_ms: u64::try_from(self.session_timeout.as_millis()).unwrap_or(u64::MAX),
            zxid: state.zxid,
            data_watches,
            child_watches,
        }
    }
}
