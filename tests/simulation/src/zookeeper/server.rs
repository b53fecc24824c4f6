//! One server: what it has applied of the leader's transactions, and the connections that it serves.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use distjob_runtime::zk::ZkError;
use tokio::time::Instant;

use super::{
    Flaw, Lag, Txn,
    message::{Answer, Greeting, News, Peer, Refusal, Reply, Request},
    tree::Tree,
    watches::Watches,
};
use crate::network::ServerEnd;

/// A connection, counted over all servers.
pub(super) type ConnectionId = u64;

/// Whose answer something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) connection: ConnectionId,
    pub(super) xid: u64,
}

/// What the leader tells a follower, in one stream.
#[derive(Debug)]
pub(super) enum FromLeader {
    Txn(Arc<Txn>, Option<Origin>),
    /// The answer to something that is no transaction, or is refused.
    Answer(Origin, Result<Reply, Refusal>),
}

/// A request that waits for those before it.
#[derive(Debug)]
enum Slot {
    /// For the leader's answer.
    Waiting,
    Ready(Result<Reply, Refusal>),
    /// To be answered from this server's tree.
    Read(Request),
}

#[derive(Debug)]
pub(super) struct Connection {
    end: ServerEnd,
    client: Peer,
    /// 0 before one is granted.
    pub(super) session: i64,
    greeting: Option<Greeting>,
    slots: VecDeque<(u64, Slot)>,
    watches: Watches,
}

impl Connection {
    pub(super) fn new(end: ServerEnd, greeting: Greeting) -> Self {
        Self {
            end,
            client: greeting.client.clone(),
            session: greeting.session,
            greeting: Some(greeting),
            slots: VecDeque::from([(0, Slot::Waiting)]),
            watches: Watches::default(),
        }
    }

    pub(super) fn close(&self) {
        self.end.close();
    }

    fn answer(&self, answer: Answer) {
        let client = self.client.clone();
        self.end.push(move || {
            if let Some(core) = client.core.upgrade() {
                core.hear(client.connection, answer);
            }
        });
    }

    fn tell(&self, news: Vec<News>) {
        for news in news {
            let client = self.client.clone();
            self.end.push(move || {
                if let Some(core) = client.core.upgrade() {
                    core.hear_news(client.connection, &news);
                }
            });
        }
    }
}

#[derive(Debug)]
pub(super) struct Server {
    pub(super) tree: Tree,
    flaw: Option<Flaw>,
    /// The last transaction that it has applied.
    pub(super) zxid: i64,
    pub(super) lag: Lag,
    /// It hears the leader, and applies nothing.
    pub(super) is_frozen: bool,
    pub(super) is_up: bool,
    /// It led, and does not know yet that another one does: it hears nobody but its clients.
    pub(super) is_deposed: bool,
    /// What the leader has told it, and when that is applied.
    pub(super) stream: VecDeque<(Instant, FromLeader)>,
    /// When what it sent last reaches the leader.
    pub(super) sent_until: Instant,
    connections: BTreeMap<ConnectionId, Connection>,
}

impl Server {
    pub(super) fn new(lag: Lag, flaw: Option<Flaw>) -> Self {
        Self {
            tree: Tree::new(flaw),
            flaw,
            zxid: 0,
            lag,
            is_frozen: false,
            is_up: true,
            is_deposed: false,
            stream: VecDeque::new(),
            sent_until: Instant::now(),
            connections: BTreeMap::new(),
        }
    }

    pub(super) fn connect(&mut self, id: ConnectionId, connection: Connection) {
        self.connections.insert(id, connection);
    }

    /// The session of a connection that is served.
    pub(super) fn session_of(&self, id: ConnectionId) -> Option<i64> {
        self.connections.get(&id).map(|connection| connection.session)
    }

    /// Whether nobody waits for answers on this connection any more.
    pub(super) fn is_given_up(&self, id: ConnectionId) -> bool {
        let connection = self.connections.get(&id);
        connection.is_none_or(|connection| !connection.end.is_open())
    }

    /// Forgets all connections and all that was to be applied: what is up to date now is `tree`.
    pub(super) fn restart(&mut self, tree: Tree, zxid: i64) {
        self.tree = tree;
        self.zxid = zxid;
        self.stream.clear();
        self.connections.clear();
    }

    /// Takes a request in its order. Those that only the leader can answer wait for it.
    pub(super) fn queue(&mut self, origin: Origin, request: Request) {
        let Some(connection) = self.connections.get_mut(&origin.connection) else {
            return;
        };
        let slot = match request {
            Request::Write(_) | Request::Sync | Request::Close => Slot::Waiting,
            read => Slot::Read(read),
        };
        connection.slots.push_back((origin.xid, slot));
        self.drain(origin.connection);
    }

    /// Answers a request that waited, if its connection is still there.
    pub(super) fn complete(&mut self, origin: Origin, result: Result<Reply, Refusal>) {
        let Some(connection) = self.connections.get_mut(&origin.connection) else {
            return;
        };
        let waiting = connection.slots.iter_mut().find(|(xid, _)| *xid == origin.xid);
        if let Some((_, slot)) = waiting {
            *slot = Slot::Ready(result);
        }
        self.drain(origin.connection);
    }

    /// Applies a transaction that the leader has told of: what it answers and what watches tell goes out in order.
    pub(super) fn apply(&mut self, txn: &Txn, origin: Option<Origin>) {
        self.zxid = txn.zxid;
        for change in &txn.changes {
            self.tree.apply(change, txn.stamp());
            for connection in self.connections.values_mut() {
                let news = connection.watches.fire(change);
                connection.tell(news);
            }
        }
        if let Some(origin) = origin {
            self.complete(origin, txn.result.clone());
        }
        if txn.ends_session() {
            self.connections.retain(|_, connection| {
                let stays = connection.session != txn.session;
                if !stays {
                    connection.close();
                }
                stays
            });
        }
    }

    /// Answers all that need not wait any more.
    fn drain(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let (mut granted, mut is_refused) = (None, false);
        while let Some((xid, slot)) = connection.slots.pop_front() {
            let mut result = match slot {
                Slot::Waiting => {
                    connection.slots.push_front((xid, slot));
                    break;
                }
                Slot::Ready(result) => result,
                Slot::Read(request) => read(&self.tree, &mut connection.watches, request),
            };
            if let (Ok(Reply::Children(_, stat)), Some(Flaw::NewestList)) = (&mut result, self.flaw) {
                stat.pzxid = i64::MAX;
            }
            if let Ok(Reply::Granted(session)) = result {
                connection.session = session;
                granted = Some(session);
            }
            is_refused |= xid == 0 && result.is_err();
            connection.answer(Answer {
                xid,
                zxid: self.zxid,
                result,
            });
            if let (0, Some(greeting)) = (xid, connection.greeting.take()) {
                let news = connection.watches.restore(&greeting, &self.tree);
                connection.tell(news);
            }
        }
        if is_refused {
            self.connections.remove(&id);
        }
        if let Some(session) = granted {
            // The client has another connection now: what else comes through this one is not read.
            self.connections
                .retain(|other, connection| *other >= id || connection.session != session);
        }
    }
}

fn read(tree: &Tree, watches: &mut Watches, request: Request) -> Result<Reply, Refusal> {
    let no_node = Refusal::Error(ZkError::NoNode);
    match request {
        Request::Stat(path) => Ok(Reply::Stat(tree.get(&path).map(|znode| znode.stat))),
        Request::Data(path) => data(tree, &path).ok_or(no_node),
        Request::DataOfAll(paths) => {
            let found = paths.iter().map(|path| {
                let znode = tree.get(path)?;
                Some((znode.data.clone(), znode.stat))
            });
            Ok(Reply::DataOfAll(found.collect()))
        }
        Request::WatchData(path) => {
            let reply = data(tree, &path).ok_or(no_node)?;
            watches.data.insert(path);
            Ok(reply)
        }
        Request::Children(path) => children(tree, &path).ok_or(no_node),
        Request::WatchChildren(path) => {
            let reply = children(tree, &path).ok_or(no_node)?;
            watches.children.insert(path);
            Ok(reply)
        }
        Request::WatchRecursively(path) => {
            watches.recursive.insert(path);
            Ok(Reply::Done)
        }
        Request::Ping | Request::Sync | Request::Write(_) | Request::Close => Ok(Reply::Done),
    }
}

fn data(tree: &Tree, path: &str) -> Option<Reply> {
    let znode = tree.get(path)?;
    Some(Reply::Data(znode.data.clone(), znode.stat))
}

fn children(tree: &Tree, path: &str) -> Option<Reply> {
    let (names, stat) = tree.children(path)?;
    Some(Reply::Children(names, stat))
}
