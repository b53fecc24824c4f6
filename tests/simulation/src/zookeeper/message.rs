//! What goes over the wires between clients and servers.

use std::sync::Weak;

use bytes::Bytes;
use distjob_runtime::zk::{
    ZkError,
    client::{NodeEvent, Stat},
};

use super::{client::Core, server::ConnectionId, tree::Write};

/// What a client asks.
#[derive(Debug, Clone)]
pub(super) enum Request {
    Stat(String),
    Data(String),
    DataOfAll(Vec<String>),
    WatchData(String),
    Children(String),
    WatchChildren(String),
    WatchRecursively(String),
    Ping,
    Sync,
    Write(Vec<Write>),
    Close,
}

/// What a server answers.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    /// The connection is the session's from now on.
    Granted(i64),
    /// Also to a write: what became of the znode that it names last, if it is still there.
    Stat(Option<Stat>),
    Data(Bytes, Stat),
    /// Of each in turn; nothing where no znode is.
    DataOfAll(Vec<Option<(Bytes, Stat)>>),
    Children(Vec<String>, Stat),
    Done,
}

/// Why a server does not do what it is asked to.
#[derive(Debug, Clone)]
pub(super) enum Refusal {
    /// The session is over, or somewhere else.
    NotYours,
    Error(ZkError),
}

/// An answer on its way.
#[derive(Debug)]
pub(super) struct Answer {
    /// What it answers: a request's number, or 0 for the greeting.
    pub(super) xid: u64,
    /// What the server had applied.
    pub(super) zxid: i64,
    pub(super) result: Result<Reply, Refusal>,
}

/// What a watch tells the client.
#[derive(Debug, Clone)]
pub(super) struct News {
    pub(super) path: String,
    pub(super) what: Happened,
}

/// What happened to a znode, as watches tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Happened {
    Node(NodeEvent),
    /// A child came or went.
    Children,
}

/// How a client introduces itself on a new connection.
#[derive(Debug)]
pub(super) struct Greeting {
    pub(super) client: Peer,
    /// The session that it has, or 0.
    pub(super) session: i64,
    pub(super) session_timeout_ms: u64,
    /// The newest that it has been told of: an older server must not talk to it.
    pub(super) zxid: i64,
    /// What it watches. The watches that stay are never sent again, a known fault of the client.
    pub(super) data_watches: Vec<String>,
    pub(super) child_watches: Vec<String>,
}

/// The client at the other end of a connection: what arrives there is handed to it.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    /// Weak, as messages that get lost must not own anything.
    pub(super) core: Weak<Core>,
    /// Which of its connections.
    pub(super) connection: ConnectionId,
}
