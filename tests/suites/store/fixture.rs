//! A job in a store of its own, or in a part of a shared one.

use std::time::Duration;

use distjob_core::store::{
    Claim, ClaimRequest, Commit, CommitRequest, Grant, Isolated, Open, Push, PushRequest, ReleaseRequest,
};
use distjob_core::{
    Holder, JobId, JobKeys, KeyScheme, Lease, MemberName, Outcome, Packed, Source, TaskRange, Token, Zxid,
};
use distjob_runtime::store::{JobStore, StoreSettings};
use harness::{AppendOnly, Redis, SHARED_REDIS, servers};
use redis::aio::MultiplexedConnection;
use tempfile::TempDir;

/// For what takes milliseconds on an idle machine.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// The life of the job in tests that need only one.
pub(crate) const LIFE: Zxid = Zxid::new(0x1_0000_0005);

pub(crate) struct Fixture {
    pub(crate) store: JobStore,
    pub(crate) raw: MultiplexedConnection,
    pub(crate) id: JobId,
    pub(crate) source: Source,
    pub(crate) server: Option<(Redis, TempDir)>,
}

impl Fixture {
    /// For tests that do nothing to the server itself.
    pub(crate) async fn shared() -> Self {
        match std::env::var(SHARED_REDIS) {
            Ok(url) => Self::at(&url, None).await,
            Err(_) => Self::private().await,
        }
    }

    pub(crate) async fn private() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = Redis::start_in(dir.path(), AppendOnly::No).await.unwrap();
        Self::at(&server.url(), Some((server, dir))).await
    }

    async fn at(url: &str, server: Option<(Redis, TempDir)>) -> Self {
        Self {
            store: JobStore::new(&StoreSettings::new(url, scheme())).unwrap(),
            raw: servers::redis::connect(url).await.unwrap(),
            id: JobId::new(harness::unique()).unwrap(),
            source: token("t1"),
            server,
        }
    }

    /// The server, for a fixture that has its own.
    pub(crate) fn server(&self) -> &Redis {
        &self.server.as_ref().expect("a server of its own").0
    }

    pub(crate) fn keys(&self) -> JobKeys {
        self.store.keys().job(&self.id)
    }

    pub(crate) fn list(&self) -> String {
        self.store.keys().source(&self.id, &self.source)
    }

    /// Pushes and opens a job with these tasks.
    pub(crate) async fn open(&self, tasks: &[Vec<u8>]) {
        assert_eq!(self.push(0, tasks).await, Push::Ok(tasks.len() as u64));
        let open = self.store.open(&self.id, LIFE, tasks.len() as u64, &self.source);
        assert_eq!(open.await.unwrap(), Open::Open);
    }

    pub(crate) async fn push(&self, offset: u64, tasks: &[Vec<u8>]) -> Push {
        let Source::Staged(source) = &self.source else {
            panic!("a plain list is pushed by others");
        };
        let request = PushRequest {
            source,
            offset,
            ttl_s: 60,
            tasks,
        };
        self.store.push(&self.id, &request).await.unwrap()
    }

    pub(crate) async fn claim(&self, holder: &Holder, want: u64, held: &[TaskRange]) -> Claim {
        let request = ClaimRequest {
            life: LIFE,
            holder,
            want,
            bytes_max: 1 << 30,
            isolate: 2,
            isolated: Isolated::Leave,
            held,
        };
        self.store.claim(&self.id, &request).await.unwrap()
    }

    /// Claims and expects a lease.
    pub(crate) async fn lease(&self, holder: &Holder, want: u64, held: &[TaskRange]) -> Grant {
        match self.claim(holder, want, held).await {
            Claim::Lease(grant) => grant,
            other => panic!("expected a lease, got {other:?}"),
        }
    }

    /// Gives back the tasks from `lo` up to `hi`.
    pub(crate) async fn release(&self, holder: &Holder, lo: u64, hi: u64) -> Commit {
        let request = ReleaseRequest {
            life: LIFE,
            holder,
            range: range(lo, hi),
        };
        self.store.release(&self.id, &request).await.unwrap()
    }

    /// Commits `count` times `true` from `lo` on.
    pub(crate) async fn commit(&self, holder: &Holder, lo: u64, count: u64) -> Commit {
        let outcomes = truths(count);
        let request = CommitRequest {
            life: LIFE,
            holder,
            lo,
            outcomes: &outcomes,
        };
        self.store.commit(&self.id, &request).await.unwrap()
    }
}

pub(crate) fn scheme() -> KeyScheme {
    KeyScheme::new(format!("{}:", harness::unique())).unwrap()
}

pub(crate) fn token(name: &str) -> Source {
    Source::Staged(Token::new(name).unwrap())
}

pub(crate) fn holder(name: &str) -> Holder {
    Holder {
        born: Zxid::new(7),
        name: MemberName::new(name).unwrap(),
    }
}

/// Tasks that say their index.
pub(crate) fn tasks(count: u64) -> Vec<Vec<u8>> {
    (0..count).map(|index| index.to_string().into_bytes()).collect()
}

pub(crate) fn range(lo: u64, hi: u64) -> TaskRange {
    TaskRange::new(lo, hi).unwrap()
}

pub(crate) fn lease(lo: u64, hi: u64, attempts: u32) -> Lease {
    Lease {
        range: range(lo, hi),
        attempts,
    }
}

pub(crate) fn truths(count: u64) -> Packed {
    let mut packed = Packed::default();
    (0..count).for_each(|_| packed.push(Outcome::Ok(b"true")));
    packed
}
