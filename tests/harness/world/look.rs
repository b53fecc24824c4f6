//! Looking into both stores past all of distjob's code.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use redis::AsyncCommands as _;
use redis::aio::MultiplexedConnection;
use serde_json::Value;
use zookeeper_client::{Acls, Client, CreateMode, CreateOptions, SessionId};

use super::World;
use crate::eventually::within;
use crate::process::Process;
use crate::servers::redis as redis_server;
use crate::servers::zookeeper::{self, Znode};

/// How tests create znodes that stay.
const PERSISTENT: CreateOptions<'static> = CreateMode::Persistent.with_acls(Acls::anyone_all());

/// A live executor or watcher, as its znode tells.
#[derive(Debug, Clone)]
pub struct Member {
    /// The znode's name.
    pub name: String,
    /// Whose end ends the znode.
    pub session: SessionId,
    /// The zxid of the znode's creation.
    pub czxid: i64,
    /// The znode's data.
    pub about: Value,
}

/// A key in Redis.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Its name, prefix included.
    pub name: String,
    /// Its time to live in seconds, if it has one.
    pub ttl_s: Option<u64>,
}

impl World {
    /// A ZooKeeper client with a session of its own, rooted at `/`.
    pub async fn zk(&self) -> Result<Client> {
        zookeeper::connect(self.zookeeper_addr()).await
    }

    /// A connection to Redis.
    pub async fn redis(&self) -> Result<MultiplexedConnection> {
        redis_server::connect(self.redis_url()).await
    }

    /// The jobs in ZooKeeper: each id with its znode's data, such as `subm=5000;queue=primes`.
    pub async fn jobs(&self) -> Result<BTreeMap<String, String>> {
        self.data_of_children("jobs").await
    }

    /// The locked jobs: each id with the watcher that holds it.
    pub async fn locks(&self) -> Result<BTreeMap<String, String>> {
        self.data_of_children("watchlocks").await
    }

    /// The live executors.
    pub async fn executors(&self) -> Result<Vec<Member>> {
        members(&self.zk().await?, &self.path("executors")).await
    }

    /// The live watchers.
    pub async fn watchers(&self) -> Result<Vec<Member>> {
        members(&self.zk().await?, &self.path("watchers")).await
    }

    /// The znode by which `process` is a member at present.
    pub async fn member_of(&self, process: &Process) -> Result<Option<Member>> {
        let zk = self.zk().await?;
        let mut all = members(&zk, &self.path("executors")).await?;
        all.extend(members(&zk, &self.path("watchers")).await?);
        Ok(all
            .into_iter()
            .find(|member| member.about["pid"] == process.pid()))
    }

    /// All keys of this world: those with its prefix, and plain submissions under the ids that it knows.
    pub async fn keys(&self) -> Result<Vec<Key>> {
        let mut redis = self.redis().await?;
        let mut names = Vec::new();
        let mut found = redis
            .scan_match::<_, String>(format!("{}*", self.prefix()))
            .await?;
        while let Some(name) = found.next_item().await {
            names.push(name?);
        }
        drop(found);
        names.extend(
            self.ids
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .iter()
                .cloned(),
        );
        names.sort();
        names.dedup();
        let mut keys = Vec::new();
        for name in names {
            match redis.ttl::<_, i64>(&name).await? {
                -2 => {} // no such key
                ttl => keys.push(Key {
                    name,
                    ttl_s: u64::try_from(ttl).ok(),
                }),
            }
        }
        Ok(keys)
    }

    /// The keys that should be gone when all jobs are: all but the ledger mark, tombstones, and what expires: lists of failed
    /// tasks, and of tasks that were staged for a job that was then not created with them.
    pub async fn keys_left(&self) -> Result<Vec<Key>> {
        let mut keys = self.keys().await?;
        let mark = format!("{}ledger", self.prefix());
        let may_expire = |name: &str| {
            ["failed-", "then-"]
                .iter()
                .any(|prefix| name.contains(&format!(":in:{prefix}")))
                || name.ends_with(":meta")
        };
        keys.retain(|key| key.name != mark && !(key.ttl_s.is_some() && may_expire(&key.name)));
        Ok(keys)
    }

    /// Returns when no job, no lock and no key is left but what [`World::keys_left`] leaves out. An error that says what is
    /// left after `limit`.
    pub async fn drained(&self, limit: Duration) -> Result<()> {
        let drained = within(limit, async || {
            let (jobs, locks) = (self.jobs().await?, self.locks().await?);
            ensure!(
                jobs.is_empty() && locks.is_empty(),
                "{} jobs {jobs:?}, locks {locks:?}",
                jobs.len()
            );
            let keys = self.keys_left().await?;
            ensure!(keys.is_empty(), "keys {keys:?}");
            Ok(())
        });
        drained.await.with_context(|| format!("left after {limit:?}"))
    }

    /// Submits as a program in any language may: the tasks to the plain list `id`, then the znode `subm=<count>`. The id
    /// has to be unique on shared servers, see [`World::job_id`].
    pub async fn plain_submit<T: AsRef<[u8]>>(&self, id: &str, tasks: &[T]) -> Result<()> {
        self.remember(id);
        let mut redis = self.redis().await?;
        for batch in tasks.chunks(10_000) {
            let batch: Vec<&[u8]> = batch.iter().map(AsRef::as_ref).collect();
            let _: u64 = redis.rpush(id, batch).await?;
        }
        self.create_job(id, &format!("subm={}", tasks.len())).await
    }

    /// Creates the znode of a job with this data, whatever it is.
    pub async fn create_job(&self, id: &str, data: impl AsRef<[u8]>) -> Result<()> {
        let zk = self.zk().await?;
        zk.mkdir(&self.path("jobs"), &PERSISTENT).await?;
        zk.create(&self.path(&format!("jobs/{id}")), data.as_ref(), &PERSISTENT)
            .await?;
        Ok(())
    }

    async fn data_of_children(&self, under_root: &str) -> Result<BTreeMap<String, String>> {
        let children = zookeeper::children(&self.zk().await?, &self.path(under_root)).await?;
        Ok(children
            .into_iter()
            .map(|child| (child.name, String::from_utf8_lossy(&child.data).into_owned()))
            .collect())
    }
}

/// Creates the root znode of a new world.
pub(super) async fn make_root(world: &World) -> Result<()> {
    world
        .zk()
        .await?
        .mkdir(&world.root(), &PERSISTENT)
        .await
        .context("create the root znode of a test")
}

async fn members(zk: &Client, path: &str) -> Result<Vec<Member>> {
    let children = zookeeper::children(zk, path).await?;
    let member = |child: Znode| Member {
        name: child.name,
        session: SessionId(child.stat.ephemeral_owner),
        czxid: child.stat.czxid,
        about: serde_json::from_slice(&child.data).unwrap_or(Value::Null),
    };
    Ok(children.into_iter().map(member).collect())
}
