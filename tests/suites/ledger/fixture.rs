//! A ledger of its own, in a server of its own or a shared one.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::ensure;
use distjob_core::{JobData, JobEntry, JobId, Layout, MemberName, Token, Zxid};
use distjob_runtime::zk::{JobRead, Ledger, Lock, Locking, Session, SessionSettings, client::over_network};
use harness::servers::zookeeper;
use harness::{Proxy, SHARED_ZOOKEEPER, Wire, ZooKeeper, eventually};
use tempfile::TempDir;
use zookeeper_client::{Acls, Client, CreateMode, CreateOptions, Error, SessionId};

/// For what takes milliseconds on an idle machine.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Longer than any test.
pub(crate) const NEVER: Duration = Duration::from_secs(3600);

/// How tests create znodes that stay.
pub(crate) const PERSISTENT: CreateOptions<'static> = CreateMode::Persistent.with_acls(Acls::anyone_all());

/// How tests create znodes that go with their session.
pub(crate) const EPHEMERAL: CreateOptions<'static> = CreateMode::Ephemeral.with_acls(Acls::anyone_all());

/// Takes a session's server away, until `proxy` accepts again, and waits for the session to notice.
pub(crate) async fn disconnect(proxy: &Proxy, session: &Session) {
    proxy.refuse().await;
    proxy.cut();
    eventually("the session notices", SOON, async || {
        ensure!(!session.is_connected(), "connected");
        Ok(())
    })
    .await;
}

/// A root znode of its own, with all directories, and a client past distjob's code.
pub(crate) struct Site {
    pub(crate) addr: SocketAddr,
    pub(crate) layout: Layout,
    pub(crate) raw: Client,
    server: Option<(ZooKeeper, TempDir)>,
}

impl Site {
    /// For tests that do nothing to the server itself.
    pub(crate) async fn shared() -> Self {
        match std::env::var(SHARED_ZOOKEEPER) {
            Ok(addr) => Self::at(addr.parse().unwrap(), None).await,
            Err(_) => Self::private().await,
        }
    }

    pub(crate) async fn private() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = ZooKeeper::start_in(dir.path()).await.unwrap();
        Self::at(server.addr(), Some((server, dir))).await
    }

    async fn at(addr: SocketAddr, server: Option<(ZooKeeper, TempDir)>) -> Self {
        let site = Self {
            addr,
            layout: Layout::new(&format!("/l-{}", harness::unique())).unwrap(),
            raw: zookeeper::connect(&addr.to_string()).await.unwrap(),
            server,
        };
        site.session().await.ensure_directories().await.unwrap();
        site
    }

    /// The server, for a site that has its own.
    pub(crate) fn server(&self) -> &ZooKeeper {
        &self.server.as_ref().expect("a server of its own").0
    }

    /// How to reach it through `addr`. Patient: what is to expire is made to.
    pub(crate) fn settings(&self, addr: SocketAddr) -> SessionSettings {
        SessionSettings {
            connect: addr.to_string(),
            connector: over_network(),
            layout: self.layout.clone(),
            session_timeout: Duration::from_secs(30),
            operation_timeout: Duration::from_secs(10),
        }
    }

    pub(crate) async fn session(&self) -> Session {
        Session::open(&self.settings(self.addr)).await.unwrap()
    }

    pub(crate) async fn ledger(&self) -> Ledger {
        Ledger::new(self.session().await)
    }

    pub(crate) async fn proxy(&self) -> Proxy {
        Proxy::start(self.addr, Wire::ZooKeeper).await.unwrap()
    }

    /// A session through a proxy of its own.
    pub(crate) async fn proxied(&self) -> (Proxy, Session) {
        let proxy = self.proxy().await;
        let session = Session::open(&self.settings(proxy.addr())).await.unwrap();
        (proxy, session)
    }

    /// Ends a session behind a proxy of its own, which learns of it when it comes back.
    pub(crate) async fn expire(&self, proxy: &Proxy, session: &Session) {
        proxy.refuse().await;
        proxy.cut();
        zookeeper::sessions::expire(self.addr, SessionId(session.id()))
            .await
            .unwrap();
        proxy.accept().await.unwrap();
    }

    /// Creates a job past distjob's code, and reads it back.
    pub(crate) async fn put(&self, id: &JobId, data: &str) -> JobEntry {
        let path = self.layout.job(id);
        let created = self.raw.create(&path, data.as_bytes(), &PERSISTENT);
        let (stat, _) = created.await.unwrap();
        JobEntry {
            data: JobData::parse(data.as_bytes()).unwrap(),
            life: Zxid::from(stat.czxid),
            version: 0,
            created_ms: stat.ctime,
        }
    }

    /// Changes a job past distjob's code.
    pub(crate) async fn change(&self, id: &JobId, data: &str) {
        let set = self.raw.set_data(&self.layout.job(id), data.as_bytes(), None);
        set.await.unwrap();
    }

    pub(crate) async fn remove(&self, id: &JobId) {
        self.raw.delete(&self.layout.job(id), None).await.unwrap();
    }

    /// A job's data, or nothing without a znode.
    pub(crate) async fn data(&self, id: &JobId) -> Option<String> {
        match self.raw.get_data(&self.layout.job(id)).await {
            Ok((data, _)) => Some(String::from_utf8(data).unwrap()),
            Err(Error::NoNode) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Whose session holds a job's lock.
    pub(crate) async fn lock_owner(&self, id: &JobId) -> Option<i64> {
        let stat = self.raw.check_stat(&self.layout.lock(id)).await.unwrap();
        stat.map(|stat| stat.ephemeral_owner)
    }
}

pub(crate) fn id(text: &str) -> JobId {
    JobId::new(text).unwrap()
}

pub(crate) fn member(name: &str) -> MemberName {
    MemberName::new(name).unwrap()
}

pub(crate) fn token() -> Token {
    Token::new(harness::unique()).unwrap()
}

pub(crate) fn data(text: &str) -> JobData {
    JobData::parse(text.as_bytes()).unwrap()
}

/// The job as the leader knows it.
pub(crate) async fn entry(ledger: &Ledger, id: &JobId) -> JobEntry {
    match ledger.read_fresh(id).await.unwrap() {
        JobRead::Job(entry) => entry,
        other => panic!("expected a job, got {other:?}"),
    }
}

/// Takes a lock that nobody contends for.
pub(crate) async fn locked(ledger: &Ledger, id: &JobId, before: &JobEntry) -> Lock {
    match ledger.lock(id, before, &member("me")).await.unwrap() {
        Locking::Held(lock) => lock,
        other => panic!("expected the lock, got {other:?}"),
    }
}
