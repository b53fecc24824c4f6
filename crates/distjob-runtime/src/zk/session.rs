//! One ZooKeeper session.

mod fresh;

use std::{sync::Arc, time::Duration};

use distjob_core::{
    Layout, Zxid,
    znode::{DIRECTORIES, RootError},
};
use tokio::time::{Instant, sleep, timeout};

use self::fresh::FreshReads;
use super::{
    ZkError,
    client::{
        Connect, Mode, NodeRead, Reply, SessionClient, SessionState, SessionStates, Stat, over_network,
    },
};
use crate::{config::ZooKeeperConfig, store::backoff};

/// Longest pause between two attempts at the same request.
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Longest pause between two attempts to open a session.
const OPEN_PAUSE_MAX: Duration = Duration::from_secs(5);

/// A first connection that brings no session within this is given up for another one, which may take twice as long.
///
/// A server that is just starting may take a connection and then forget it, without an answer and without an end (3.8 does when
/// it is asked before its data is loaded). The client crate would wait for two fifths of the session timeout, and longer from
/// one attempt to the next when it was refused before.
const FIRST_PATIENCE: Duration = Duration::from_secs(1);

/// How to reach an ensemble.
#[derive(Clone, Debug)]
pub struct SessionSettings {
    /// `host:port,host:port…`, with an optional chroot at the end.
    pub connect: String,
    /// What opens sessions with them.
    pub connector: Arc<dyn Connect>,
    /// Where everything stands.
    pub layout: Layout,
    /// What to ask the servers for; they may grant another one.
    pub session_timeout: Duration,
    /// How long to wait for one reply before it counts as unclear.
    pub operation_timeout: Duration,
}

/// One ZooKeeper session. Cheap to clone; the session is closed when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Session {
    client: Arc<dyn SessionClient>,
    layout: Layout,
    operation_timeout: Duration,
    fresh: Arc<FreshReads>,
}

/// Tells when a session's connection comes or goes.
#[derive(Debug)]
pub struct ConnectionWatch {
    states: Box<dyn SessionStates>,
}

impl ConnectionWatch {
    /// Waits for the next change; never ends once the session is over. Cancel safe: no change is missed.
    pub async fn changed(&mut self) {
        self.states.changed().await;
    }
}

/// A session that is being closed: nothing can use it any more.
#[derive(Debug)]
pub struct Settlement {
    states: Box<dyn SessionStates>,
}

impl Settlement {
    /// Waits until the server has heard of the end, for `patience` at most. Its ephemerals are gone then.
    ///
    /// Cancel safe.
    pub async fn wait(mut self, patience: Duration) {
        if self.states.newest() == SessionState::Over {
            return;
        }
        let ended = async { while self.states.changed().await != SessionState::Over {} };
        // The server ends the session by itself after its timeout, should this not get through.
        let _ = timeout(patience, ended).await;
    }
}

impl SessionSettings {
    /// What `[zookeeper]` says, over the network.
    ///
    /// # Errors
    /// When the root is no path.
    pub fn new(config: &ZooKeeperConfig) -> Result<Self, RootError> {
        Ok(Self {
            connect: config.connect.clone(),
            connector: over_network(),
            layout: Layout::new(&config.root)?,
            session_timeout: config.session_timeout,
            operation_timeout: config.operation_timeout,
        })
    }
}

impl Session {
    /// Opens a session: some attempts over all servers, within the session timeout.
    ///
    /// # Errors
    /// [`ZkError::Unclear`] when no server answers within that.
    ///
    /// # Cancel safety
    /// Dropping the future may leave a session without ephemerals behind, which the servers expire. So may an attempt that was
    /// given up for the next one.
    pub async fn open(settings: &SessionSettings) -> Result<Self, ZkError> {
        Ok(Self {
            client: connect(settings).await?,
            layout: settings.layout.clone(),
            operation_timeout: settings.operation_timeout,
            fresh: Arc::default(),
        })
    }

    /// Opens a session, trying again until it works, and makes sure of the directories. `report` hears of each
    /// failure.
    ///
    /// Cancel safe, as [`Session::open`].
    pub async fn open_persistently(settings: &SessionSettings, mut report: impl FnMut(&ZkError)) -> Self {
        let mut attempt = 0;
        loop {
            let opened = async {
                let session = Self::open(settings).await?;
                session.ensure_directories().await?;
                Ok(session)
            };
            match opened.await {
                Ok(session) => return session,
                Err(error) => report(&error),
            }
            sleep(backoff(attempt, OPEN_PAUSE_MAX)).await;
            attempt += 1;
        }
    }

    /// Where everything stands.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The session's id, as `ephemeralOwner` shows it.
    #[must_use]
    pub fn id(&self) -> i64 {
        self.client.session_id()
    }

    /// Whether the session has a connection right now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.client.state() == SessionState::Connected
    }

    /// Whether the session is over for good.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.client.state() == SessionState::Over
    }

    /// Waits until the session has a connection.
    ///
    /// # Errors
    /// [`ZkError::SessionOver`] when it will never have one again.
    ///
    /// Cancel safe.
    pub async fn connected(&self) -> Result<(), ZkError> {
        let mut states = self.client.states();
        loop {
            match self.client.state() {
                SessionState::Connected => return Ok(()),
                SessionState::Over => return Err(ZkError::SessionOver),
                SessionState::Disconnected => states.changed().await,
            };
        }
    }

    /// Follows the connection from now on.
    #[must_use]
    pub fn watch_connection(&self) -> ConnectionWatch {
        ConnectionWatch {
            states: self.client.states(),
        }
    }

    /// Waits until the session is over. Cancel safe.
    pub async fn over(&self) {
        let mut states = self.client.states();
        while !self.is_over() {
            states.changed().await;
        }
    }

    /// Lets go of this clone. When it was the last one the session ends.
    #[must_use]
    pub fn close(self) -> Settlement {
        Settlement {
            states: self.client.states(),
        }
    }

    pub(super) fn client(&self) -> &dyn SessionClient {
        &*self.client
    }

    /// Waits for the reply to a request that has been sent, for as long as one may take.
    pub(super) async fn reply<T>(&self, request: Reply<'_, T>) -> Result<T, ZkError> {
        fresh::reply(&*self.client, self.operation_timeout, request).await
    }

    /// Repeats a request that does no harm when executed twice until its answer is clear.
    ///
    /// # Errors
    /// Any definite error, and [`ZkError::SessionOver`].
    pub(super) async fn until_clear<T, F>(&self, mut request: impl FnMut() -> F) -> Result<T, ZkError>
    where
        F: Future<Output = Result<T, ZkError>>,
    {
        let mut attempt = 0;
        loop {
            self.connected().await?;
            match request().await {
                Err(ZkError::Unclear(why)) => tracing::debug!(why, "repeating an unclear zookeeper request"),
                clear => return clear,
            }
            sleep(backoff(attempt, PAUSE_MAX)).await;
            attempt += 1;
        }
    }

    /// Makes sure of the root and the directories below it.
    ///
    /// # Errors
    /// When the directories cannot be created, for lack of rights say, or the answer is unclear.
    pub async fn ensure_directories(&self) -> Result<(), ZkError> {
        for name in DIRECTORIES {
            let path = self.layout.directory(name);
            if self.reply(self.client.check_stat(&path)).await?.is_none() {
                self.make_directory(&path).await?;
            }
        }
        Ok(())
    }

    /// Creates a znode and those above it that are missing, from below: above the root there may be no right to create.
    async fn make_directory(&self, path: &str) -> Result<(), ZkError> {
        let mut missing = vec![path];
        while let Some(path) = missing.last() {
            match self.reply(self.client.create(path, b"", Mode::Persistent)).await {
                Ok(_) | Err(ZkError::NodeExists) => missing.truncate(missing.len() - 1),
                Err(ZkError::NoNode) => match path.rsplit_once('/') {
                    Some((parent, _)) if !parent.is_empty() => missing.push(parent),
                    // Not even the chroot of the address is there.
                    _ => return Err(ZkError::NoNode),
                },
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The ledger's identity: the creation zxid of the directory of jobs, and whether no job was ever created in it.
    ///
    /// Asked of the leader: to a server that lags behind, a ledger in use may still look unused, and an emptied store
    /// would be taken for its own. One attempt.
    ///
    /// # Errors
    /// [`ZkError::NoNode`] when there is no ledger, and whatever else a read can fail with.
    pub async fn ledger_identity(&self) -> Result<(Zxid, bool), ZkError> {
        let path = self.layout.jobs();
        let stat = self.fresh_stat(&path).await?.ok_or(ZkError::NoNode)?;
        Ok((Zxid::from(stat.czxid), stat.cversion == 0))
    }

    /// Reads a znode after the server has heard of all that happened before the call, together with others that are asked
    /// for at the same time. One attempt. Cancel safe.
    pub(super) async fn fresh_data(&self, path: String) -> NodeRead {
        self.fresh.read(&self.client, self.operation_timeout, path).await
    }

    /// Asks the leader for all that happened, and then reads the znode's stat.
    pub(super) async fn fresh_stat(&self, path: &str) -> Result<Option<Stat>, ZkError> {
        let deadline = Instant::now() + self.operation_timeout;
        // Both requests are sent at once; the server answers them in this order.
        let (sync, stat) = (self.client.sync(path), self.client.check_stat(path));
        self.reply(sync).await?;
        let left = deadline
            .saturating_duration_since(Instant::now())
            .max(Duration::from_millis(1));
        timeout(left, stat)
            .await
            .unwrap_or_else(|_| Err(ZkError::Unclear("no reply to a read".to_owned())))
    }
}

/// What [`Session::open`] does: a connection that stays silent is given up, soon at first.
async fn connect(settings: &SessionSettings) -> Result<Arc<dyn SessionClient>, ZkError> {
    let patience = settings.session_timeout.max(settings.operation_timeout);
    let (deadline, mut most) = (Instant::now() + patience, FIRST_PATIENCE);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ZkError::Unclear(format!("no session within {patience:?}")));
        }
        let connecting = settings
            .connector
            .connect(&settings.connect, settings.session_timeout);
        if let Ok(answer) = timeout(most.min(left), connecting).await {
            return answer;
        }
        most *= 2;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures::FutureExt as _;

    use super::*;

    /// Takes connections and is silent, but on the last one it answers with an error.
    #[derive(Debug)]
    struct Forgetful {
        silent: AtomicU32,
    }

    impl Connect for Forgetful {
        fn connect<'a>(&'a self, _: &'a str, _: Duration) -> Reply<'a, Arc<dyn SessionClient>> {
            match self.silent.fetch_sub(1, Ordering::Relaxed) {
                0 => futures::future::err(ZkError::NoNode).boxed(),
                _ => futures::future::pending().boxed(),
            }
        }
    }

    /// What comes of opening a session when so many connections are forgotten, and after how long.
    async fn open(silent: u32) -> (ZkError, Duration) {
        let settings = SessionSettings {
            connect: "here".to_owned(),
            connector: Arc::new(Forgetful {
                silent: silent.into(),
            }),
            layout: Layout::new("/distjob").unwrap(),
            session_timeout: Duration::from_secs(60),
            operation_timeout: Duration::from_secs(10),
        };
        let begun = Instant::now();
        (Session::open(&settings).await.unwrap_err(), begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_a_starting_server_forgot_costs_a_second_and_not_a_part_of_the_session() {
        for (silent, seconds) in [(0, 0), (1, 1), (2, 1 + 2), (3, 1 + 2 + 4)] {
            let (error, took) = open(silent).await;
            assert!(matches!(error, ZkError::NoNode), "{error}");
            assert_eq!(took, Duration::from_secs(seconds));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn servers_that_never_answer_are_given_up_after_the_session_timeout() {
        let (error, took) = open(u32::MAX).await;
        assert!(matches!(error, ZkError::Unclear(_)), "{error}");
        assert_eq!(took, Duration::from_secs(60));
    }
}
