//! What distjob asks of a ZooKeeper client: the seam below which nothing of distjob lies.
//!
//! ```text
//! Session · Ledger · views · Term          retries, settles unclear replies, follows
//!            │ SessionClient               one session: requests, watches, its states
//!            │ Connect                     how one is opened
//!     over_network()   a simulation        the client crate, or servers that are a model
//! ```
//!
//! Nothing is retried here, and nothing is added: each method is one request of ZooKeeper's protocol.

mod network;

use std::{
    fmt::{self, Debug},
    sync::Arc,
    time::Duration,
};

use futures::{future::BoxFuture, stream::BoxStream};

pub use self::network::over_network;
use super::ZkError;

/// The reply to a request, on its way.
///
/// The request has been sent when its method returns, after all that were sent before through the same client. Dropping
/// the reply does not take the request back.
pub type Reply<'a, T> = BoxFuture<'a, Result<T, ZkError>>;

/// What is said of one znode.
pub type NodeRead = Result<(Vec<u8>, Stat), ZkError>;

/// Opens sessions.
pub trait Connect: Debug + Send + Sync {
    /// Opens a session with one of `servers` (`host:port,host:port…`, with an optional chroot at the end), and asks for
    /// `session_timeout`. May try all servers, and may take as long as the session timeout or longer.
    ///
    /// # Errors
    /// [`ZkError::Unclear`] when no server grants one.
    ///
    /// # Cancel safety
    /// Dropping the future may leave a session without ephemerals behind, which the servers expire.
    fn connect<'a>(
        &'a self,
        servers: &'a str,
        session_timeout: Duration,
    ) -> Reply<'a, Arc<dyn SessionClient>>;
}

/// The client of one session, which it keeps alive and reconnects until it is over.
///
/// Dropping the last reference closes the session. Replies and what watches tell come in the order in which the server
/// sent them. Any request can fail with [`ZkError::Unclear`], [`ZkError::Refused`] or [`ZkError::SessionOver`]; the
/// methods name what else.
pub trait SessionClient: Debug + Send + Sync {
    /// The session's id, as `ephemeralOwner` shows it.
    fn session_id(&self) -> i64;

    /// Whether there is a connection right now.
    fn state(&self) -> SessionState;

    /// Follows the states from now on.
    fn states(&self) -> Box<dyn SessionStates>;

    /// The stat of a znode, or nothing without one.
    fn check_stat<'a>(&'a self, path: &'a str) -> Reply<'a, Option<Stat>>;

    /// The data and stat of a znode. [`ZkError::NoNode`].
    fn get_data<'a>(&'a self, path: &'a str) -> Reply<'a, (Vec<u8>, Stat)>;

    /// The data and stat of several znodes, in this order and all as of one moment, from one request. What is said of each
    /// is what [`Self::get_data`] would say: [`ZkError::NoNode`] and [`ZkError::Refused`] concern that one only. Nothing is
    /// asked when there are none.
    ///
    /// It takes a server of version 3.6 at least, as persistent watches do.
    fn get_data_of_all<'a>(&'a self, paths: &[String]) -> Reply<'a, Vec<NodeRead>>;

    /// As [`Self::get_data`], and watches the znode from this reply on, until it is changed or deleted.
    fn get_and_watch_data<'a>(&'a self, path: &'a str) -> Reply<'a, (Vec<u8>, Stat, OnceWatch)>;

    /// The names of the children and the stat of their parent. [`ZkError::NoNode`].
    fn get_children<'a>(&'a self, path: &'a str) -> Reply<'a, (Vec<String>, Stat)>;

    /// As [`Self::get_children`], and watches from this reply on, until a child comes or goes.
    fn get_and_watch_children<'a>(&'a self, path: &'a str) -> Reply<'a, (Vec<String>, Stat, OnceWatch)>;

    /// Watches a znode and all below it from this reply on.
    ///
    /// What happens while there is no connection may never be told, and a server that was restarted tells nothing any
    /// more: after [`WatchEvent::Connected`] the watch is worth nothing.
    fn watch_recursively<'a>(&'a self, path: &'a str) -> Reply<'a, BoxStream<'static, WatchEvent>>;

    /// Lets the server hear of all that happened before, as the leader knows it.
    fn sync<'a>(&'a self, path: &'a str) -> Reply<'a, ()>;

    /// Creates a znode. [`ZkError::NodeExists`]; [`ZkError::NoNode`] without a parent.
    fn create<'a>(&'a self, path: &'a str, data: &[u8], mode: Mode) -> Reply<'a, Stat>;

    /// Replaces the data of a znode that has this version, or any. [`ZkError::NoNode`], [`ZkError::BadVersion`].
    fn set_data<'a>(&'a self, path: &'a str, data: &[u8], version: Option<i32>) -> Reply<'a, Stat>;

    /// Deletes a znode that has this version, or any. [`ZkError::NoNode`], [`ZkError::BadVersion`],
    /// [`ZkError::NotEmpty`].
    fn delete<'a>(&'a self, path: &'a str, version: Option<i32>) -> Reply<'a, ()>;

    /// Performs all of `ops`, in this order, or none. The error is that of the first one that cannot be done.
    fn multi<'a>(&'a self, ops: &[Op<'_>]) -> Reply<'a, ()>;
}

/// The states of a session, as they come.
pub trait SessionStates: Debug + Send + Sync {
    /// The newest one, which [`Self::changed`] will not return again.
    fn newest(&mut self) -> SessionState;

    /// Waits for a state that has not been returned; never ends after [`SessionState::Over`] was.
    ///
    /// States that follow each other closely may be seen as one, the last. Cancel safe: none is missed.
    fn changed(&mut self) -> BoxFuture<'_, SessionState>;
}

/// How a session stands, as far as its client knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// A server that can write answers.
    Connected,
    /// No server does. The session may be over already; only a server can tell.
    Disconnected,
    /// Over for good: expired, or closed.
    Over,
}

/// How long a znode stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Until it is deleted.
    Persistent,
    /// Until its session ends.
    Ephemeral,
}

/// One write of several that take effect together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op<'a> {
    /// No write: the znode is there and has this version.
    Check {
        /// Which znode.
        path: &'a str,
        /// Its version.
        version: i32,
    },
    /// As [`SessionClient::create`].
    Create {
        /// Which znode.
        path: &'a str,
        /// What it says.
        data: &'a [u8],
        /// How long it stays.
        mode: Mode,
    },
    /// As [`SessionClient::set_data`].
    Set {
        /// Which znode.
        path: &'a str,
        /// What it says from now on.
        data: &'a [u8],
        /// The version that it must have.
        version: i32,
    },
    /// As [`SessionClient::delete`].
    Delete {
        /// Which znode.
        path: &'a str,
        /// The version that it must have.
        version: i32,
    },
}

/// What ZooKeeper says of a znode, as far as distjob looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stat {
    /// The transaction that created it.
    pub czxid: i64,
    /// The transaction that last created or deleted a child of it, or created itself.
    pub pzxid: i64,
    /// When it was created: milliseconds since 1970 by the leader's clock.
    pub ctime: i64,
    /// How often its data was set.
    pub version: i32,
    /// How often a child was created or deleted.
    pub cversion: i32,
    /// How many children it has.
    pub children: i32,
    /// The session that it goes with, or 0.
    pub ephemeral_owner: i64,
}

/// What a recursive watch tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchEvent {
    /// Something happened to the znode of this path.
    Node(NodeEvent, String),
    /// There is a connection again.
    Connected,
    /// There is none any more.
    Disconnected,
    /// The session is over. Nothing follows.
    Over,
}

/// What happened to a znode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeEvent {
    /// It was created.
    Created,
    /// Its data was set.
    Changed,
    /// It was deleted.
    Deleted,
}

/// A watch that tells once, and after a reconnect what happened in between. Dropping it removes it.
pub struct OnceWatch(BoxFuture<'static, ()>);

impl OnceWatch {
    /// A watch that has told when `fired` is ready.
    pub fn new(fired: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Box::pin(fired))
    }

    /// Waits until what is watched happened, or the session is over.
    pub async fn fired(self) {
        self.0.await;
    }
}

impl Debug for OnceWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnceWatch").finish_non_exhaustive()
    }
}
