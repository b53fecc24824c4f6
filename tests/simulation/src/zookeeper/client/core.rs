//! What a client knows and does, whoever holds it.

mod life;

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use distjob_runtime::zk::{
    ZkError,
    client::{OnceWatch, SessionState, WatchEvent},
};
use futures::{FutureExt as _, future::BoxFuture, stream::BoxStream};
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use super::{
    states::{Follower, States},
    watched::Watched,
};
use crate::{
    network::{Process, Responder, Wire},
    zookeeper::{
        Ensemble, Origin,
        message::{Answer, News, Refusal, Reply, Request},
        server::ConnectionId,
    },
};

/// An answer, and the watch that it set.
pub(super) struct Heard {
    pub(super) reply: Reply,
    pub(super) once: Option<OnceWatch>,
    pub(super) recursive: Option<BoxStream<'static, WatchEvent>>,
}

impl fmt::Debug for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reply.fmt(f)
    }
}

type Sender = oneshot::Sender<Result<Heard, ZkError>>;

/// Why an attempt to reach a server, or to keep it, has ended.
enum Lost {
    Connection,
    Session,
}

/// The client of one session.
pub(in crate::zookeeper) struct Core {
    ensemble: Ensemble,
    process: Process,
    servers: Vec<usize>,
    session_timeout: Duration,
    /// For what arrives: it must not own this.
    this: Weak<Self>,
    state: Mutex<State>,
    states: States,
    /// The holder has let go, or the session has ended.
    woken: Notify,
}

struct State {
    session: i64,
    /// The newest that a reply has told of.
    zxid: i64,
    connection: Option<Connection>,
    heard_at: Instant,
    said_at: Instant,
    next_xid: u64,
    /// Sent, and not answered.
    sent: BTreeMap<u64, (Request, Sender)>,
    /// To be sent on the next connection.
    unsent: VecDeque<(Request, Sender)>,
    watched: Watched,
    is_let_go: bool,
}

struct Connection {
    id: ConnectionId,
    server: usize,
    wire: Wire,
    /// Told how the greeting was answered.
    greeted: Option<oneshot::Sender<Result<(), Lost>>>,
}

impl Core {
    pub(super) fn new(
        ensemble: Ensemble,
        process: Process,
        servers: &str,
        session_timeout: Duration,
    ) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            servers: ensemble.named_in(servers),
            ensemble,
            process,
            session_timeout,
            this: this.clone(),
            state: Mutex::new(State {
                session: 0,
                zxid: 0,
                connection: None,
                heard_at: Instant::now(),
                said_at: Instant::now(),
                next_xid: 1,
                sent: BTreeMap::new(),
                unsent: VecDeque::new(),
                watched: Watched::default(),
                is_let_go: false,
            }),
            states: States::new(SessionState::Disconnected),
            woken: Notify::new(),
        })
    }

    pub(super) fn session_id(&self) -> i64 {
        self.lock().session
    }

    pub(super) fn state(&self) -> SessionState {
        self.states.newest()
    }

    pub(super) fn states(&self) -> Follower {
        self.states.follow()
    }

    /// Nobody holds the client any more: the session is closed as soon as a server can be told.
    pub(super) fn let_go(&self) {
        self.lock().is_let_go = true;
        self.woken.notify_one();
    }

    /// Sends a request, now or on the next connection.
    pub(super) fn ask(&self, request: Request) -> BoxFuture<'static, Result<Heard, ZkError>> {
        let (sender, answer) = oneshot::channel();
        let mut state = self.lock();
        match self.state() {
            SessionState::Over => return std::future::ready(Err(ZkError::SessionOver)).boxed(),
            SessionState::Connected => self.send(&mut state, request, sender),
            SessionState::Disconnected => state.unsent.push_back((request, sender)),
        }
        async { answer.await.unwrap_or(Err(ZkError::SessionOver)) }.boxed()
    }

    fn send(&self, state: &mut State, request: Request, sender: Sender) {
        let Some(connection) = &state.connection else {
            return state.unsent.push_back((request, sender));
        };
        let xid = state.next_xid;
        let (id, server) = (connection.id, connection.server);
        let (ensemble, asked) = (self.ensemble.clone(), request.clone());
        self.count(&request);
        // The answer comes as something that nobody asked for: in its order, whoever waits for it.
        drop(connection.wire.request(move |_: Responder<()>| {
            ensemble.hear(server, Origin { connection: id, xid }, asked);
        }));
        state.next_xid += 1;
        state.said_at = Instant::now();
        state.sent.insert(xid, (request, sender));
    }

    fn count(&self, request: &Request) {
        let tally = self.ensemble.tally();
        tally.add(self.process, request.kind(), 1);
        if request.znodes() > 0 {
            tally.add(self.process, "znode", request.znodes());
        }
    }

    /// An answer arrives.
    pub(in crate::zookeeper) fn hear(&self, connection: ConnectionId, answer: Answer) {
        let mut state = self.lock();
        let Some(current) = state
            .connection
            .as_mut()
            .filter(|current| current.id == connection)
        else {
            return;
        };
        let greeted = current.greeted.take();
        state.heard_at = Instant::now();
        if matches!(answer.result, Err(Refusal::NotYours)) {
            drop(state);
            if let Some(greeted) = greeted {
                let _ = greeted.send(Err(Lost::Session));
            }
            return self.end();
        }
        if let (Some(greeted), Ok(Reply::Granted(session))) = (greeted, &answer.result) {
            state.session = *session;
            let _ = greeted.send(Ok(()));
            return self.connected(&mut state);
        }
        let Some((request, sender)) = state.sent.remove(&answer.xid) else {
            return;
        };
        // Neither a greeting's nor a ping's answer, nor what a watch tells, counts as seen.
        if !matches!(request, Request::Ping) {
            state.zxid = state.zxid.max(answer.zxid);
        }
        let heard = match answer.result {
            Ok(reply) => Ok(with_watch(&mut state.watched, request, reply)),
            Err(Refusal::Error(error)) => Err(error),
            Err(Refusal::NotYours) => Err(ZkError::SessionOver),
        };
        // Who asked may have stopped waiting.
        let _ = sender.send(heard);
    }

    /// What a watch tells arrives.
    pub(in crate::zookeeper) fn hear_news(&self, connection: ConnectionId, news: &News) {
        let mut state = self.lock();
        if state
            .connection
            .as_ref()
            .is_some_and(|current| current.id == connection)
        {
            state.heard_at = Instant::now();
            self.ensemble.tally().add(self.process, "event", 1);
            state.watched.tell(news);
        }
    }

    fn connected(&self, state: &mut State) {
        state.said_at = Instant::now();
        state.watched.tell_state(&WatchEvent::Connected);
        self.states.tell(SessionState::Connected);
        for (request, sender) in std::mem::take(&mut state.unsent) {
            self.send(state, request, sender);
        }
    }

    /// Gives the connection up. What was sent on it is unclear.
    fn lose(&self) -> Lost {
        let mut state = self.lock();
        if self.state() == SessionState::Over {
            return Lost::Session;
        }
        state.connection = None;
        state.watched.tell_state(&WatchEvent::Disconnected);
        self.states.tell(SessionState::Disconnected);
        for (_, (_, sender)) in std::mem::take(&mut state.sent) {
            let _ = sender.send(Err(ZkError::Unclear("the connection was lost".to_owned())));
        }
        Lost::Connection
    }

    /// The session is over, as far as this client is concerned.
    fn end(&self) {
        let mut state = self.lock();
        if self.state() == SessionState::Over {
            return;
        }
        state.connection = None;
        state.watched.tell_state(&WatchEvent::Over);
        self.states.tell(SessionState::Over);
        let sent = std::mem::take(&mut state.sent).into_values();
        let unsent = std::mem::take(&mut state.unsent);
        for (_, sender) in sent.chain(unsent) {
            let _ = sender.send(Err(ZkError::SessionOver));
        }
        self.woken.notify_one();
    }

    /// A server that has been silent for so long is given up.
    fn silence_max(&self) -> Duration {
        self.session_timeout * 2 / 5
    }

    /// A server that has been told nothing for so long is sent a ping.
    fn ping_after(&self) -> Duration {
        self.session_timeout * 3 / 20
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer with the watch that its request has set.
fn with_watch(watched: &mut Watched, request: Request, reply: Reply) -> Heard {
    let (mut once, mut recursive) = (None, None);
    match request {
        Request::WatchData(path) => once = Some(watched.watch_data(path)),
        Request::WatchChildren(path) => once = Some(watched.watch_children(path)),
        Request::WatchRecursively(path) => recursive = Some(watched.watch_recursively(path)),
        _ => {}
    }
    Heard {
        reply,
        once,
        recursive,
    }
}
