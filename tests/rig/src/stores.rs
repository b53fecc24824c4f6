//! The rig's own look at both stores, past all of the project's code.
//!
//! Every look may fail while a nemesis is at work; what failed is looked at again by whoever needs it. Connections are
//! kept while they work.

mod plain;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use harness::servers::redis as redis_server;
use harness::servers::zookeeper::{self, Znode};
use redis::AsyncCommands as _;
use redis::aio::MultiplexedConnection;
use serde_json::Value;
use tokio::time::timeout;
use zookeeper_client::{Client, Error as ZkError};

pub use self::plain::Plain;
use crate::cluster::{PREFIX, ROOT};
use crate::history::LeftKey;

/// A look that takes longer has failed. Servers are down for longer than that, at times.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// Where both stores are, and what is known of the way there.
#[derive(Debug)]
pub struct Stores {
    zookeeper: String,
    redis: Mutex<String>,
    client: Mutex<Option<Client>>,
    connection: Mutex<Option<MultiplexedConnection>>,
}

/// A live executor or watcher, as its znode tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The znode's name.
    pub name: String,
    /// Its process id.
    pub pid: u32,
    /// Whose end ends the znode.
    pub session: i64,
}

/// A job as its znode tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The state, such as `subm`.
    pub state: String,
    /// The creation zxid of the znode, which tells lives of an id apart.
    pub life: i64,
}

impl Stores {
    /// Stores at `host:port,…` and at `redis://host:port`. Connects to nothing yet.
    #[must_use]
    pub fn new(zookeeper: String, redis: String) -> Self {
        let redis = Mutex::new(redis);
        Self {
            zookeeper,
            redis,
            client: Mutex::default(),
            connection: Mutex::default(),
        }
    }

    /// From now on Redis is another one.
    pub fn redis_is_at(&self, redis: String) {
        *lock(&self.redis) = redis;
        *lock(&self.connection) = None;
    }

    /// All jobs of the ledger.
    ///
    /// # Errors
    /// When ZooKeeper does not answer in time.
    pub async fn jobs(&self) -> Result<BTreeMap<String, Job>> {
        let children = self.children("jobs").await?;
        let job = |child: Znode| {
            let data = String::from_utf8_lossy(&child.data).into_owned();
            let state = data
                .split_once('=')
                .map_or(data.as_str(), |(state, _)| state)
                .to_owned();
            (
                child.name,
                Job {
                    state,
                    life: child.stat.czxid,
                },
            )
        };
        Ok(children.into_iter().map(job).collect())
    }

    /// The locked jobs, each with the watcher that holds it.
    ///
    /// # Errors
    /// When ZooKeeper does not answer in time.
    pub async fn locks(&self) -> Result<BTreeMap<String, String>> {
        let children = self.children("watchlocks").await?;
        Ok(children
            .into_iter()
            .map(|child| (child.name, String::from_utf8_lossy(&child.data).into_owned()))
            .collect())
    }

    /// The live members in a directory, `executors` or `watchers`.
    ///
    /// # Errors
    /// When ZooKeeper does not answer in time.
    pub async fn members(&self, directory: &str) -> Result<Vec<Member>> {
        let children = self.children(directory).await?;
        let member = |child: Znode| {
            let about: Value = serde_json::from_slice(&child.data).unwrap_or_default();
            Member {
                name: child.name,
                pid: about["pid"]
                    .as_u64()
                    .and_then(|pid| pid.try_into().ok())
                    .unwrap_or(0),
                session: child.stat.ephemeral_owner,
            }
        };
        Ok(children.into_iter().map(member).collect())
    }

    /// The member that the process is now, if it is one.
    ///
    /// # Errors
    /// When ZooKeeper does not answer in time.
    pub async fn member_of(&self, directory: &str, pid: u32) -> Result<Option<Member>> {
        Ok(self
            .members(directory)
            .await?
            .into_iter()
            .find(|member| member.pid == pid))
    }

    /// The leases on a job: each holder's name, without its zxid, with its ranges `[lo, hi)`.
    ///
    /// # Errors
    /// When Redis does not answer in time.
    pub async fn leases(&self, id: &str) -> Result<BTreeMap<String, Vec<(u64, u64)>>> {
        let key = format!("{PREFIX}{{{id}}}:leases");
        let leases: BTreeMap<String, String> = self
            .redis(async |mut redis| redis::cmd("HGETALL").arg(&key).query_async(&mut redis).await)
            .await?;
        let name = |holder: &str| holder.split_once('.').map_or(holder, |(_, name)| name).to_owned();
        Ok(leases
            .iter()
            .map(|(holder, ranges)| (name(holder), ranges_of(ranges)))
            .collect())
    }

    /// The ranges of a job that were given back, `[lo, hi)`.
    ///
    /// # Errors
    /// When Redis does not answer in time.
    pub async fn freed(&self, id: &str) -> Result<Vec<(u64, u64)>> {
        let key = format!("{PREFIX}{{{id}}}:freed");
        let freed: Vec<String> = self
            .redis(async |mut redis| redis.lrange(&key, 0, -1).await)
            .await?;
        Ok(freed.iter().flat_map(|range| ranges_of(range)).collect())
    }

    /// Every key of Redis, whoever's it is.
    ///
    /// # Errors
    /// When Redis does not answer in time.
    pub async fn keys(&self) -> Result<Vec<LeftKey>> {
        self.redis(async |mut redis| {
            let mut names = Vec::new();
            let mut found = redis.scan::<String>().await?;
            while let Some(name) = found.next_item().await {
                names.push(name?);
            }
            drop(found);
            names.sort();
            names.dedup();
            let mut keys = Vec::with_capacity(names.len());
            for key in names {
                let ttl_ms: i64 = redis::cmd("PTTL").arg(&key).query_async(&mut redis).await?;
                let is_meta = key.starts_with(PREFIX) && key.ends_with("}:meta");
                let state: Option<String> = if is_meta {
                    redis::cmd("HGET")
                        .arg(&key)
                        .arg("state")
                        .query_async(&mut redis)
                        .await?
                } else {
                    None
                };
                // It may have expired since it was listed.
                if ttl_ms != -2 {
                    let is_tombstone = state.as_deref() == Some("gone");
                    keys.push(LeftKey {
                        key,
                        is_tombstone,
                        ttl_ms: u64::try_from(ttl_ms).ok(),
                    });
                }
            }
            Ok(keys)
        })
        .await
    }

    /// The paths of all znodes below `jobs`, `watchlocks`, `executors`, `watchers` and `groups`.
    ///
    /// # Errors
    /// When ZooKeeper does not answer in time.
    pub async fn znodes(&self) -> Result<Vec<String>> {
        let mut paths = Vec::new();
        for directory in ["jobs", "watchlocks", "executors", "watchers", "groups"] {
            let path = path(directory);
            let children = self.children(directory).await?;
            paths.extend(children.into_iter().map(|child| format!("{path}/{}", child.name)));
        }
        Ok(paths)
    }

    /// The children of a directory that may be missing; those that go while they are read are left out.
    async fn children(&self, directory: &str) -> Result<Vec<Znode>> {
        let path = path(directory);
        self.zookeeper(async |zk| zookeeper::children(&zk, &path).await)
            .await
    }

    /// Asks ZooKeeper something, within the limit.
    async fn zookeeper<T>(&self, ask: impl AsyncFnOnce(Client) -> Result<T, ZkError>) -> Result<T> {
        let known = lock(&self.client).clone();
        let asked = timeout(ANSWERS_WITHIN, async {
            let client = match known.filter(|client| !client.state().is_terminated()) {
                Some(client) => client,
                None => {
                    let client = zookeeper::connect(&self.zookeeper).await?;
                    *lock(&self.client) = Some(client.clone());
                    client
                }
            };
            anyhow::Ok(ask(client).await)
        });
        Ok(asked.await.context("ZooKeeper did not answer in time")???)
    }

    /// Asks Redis something, within the limit. A connection on which something failed is not used again.
    async fn redis<T>(
        &self,
        ask: impl AsyncFnOnce(MultiplexedConnection) -> redis::RedisResult<T>,
    ) -> Result<T> {
        let known = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let asked = timeout(ANSWERS_WITHIN, async {
            let connection = match known {
                Some(connection) => connection,
                None => {
                    let url = lock(&self.redis).clone();
                    redis_server::connect(&url).await?
                }
            };
            let answer = ask(connection.clone()).await?;
            *lock(&self.connection) = Some(connection);
            anyhow::Ok(answer)
        });
        asked.await.map_err(|_| anyhow!("Redis did not answer in time"))?
    }
}

/// The path of what is below the root.
fn path(under_root: &str) -> String {
    format!("{ROOT}/{under_root}")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `lo:hi:attempts,…`; what cannot be read is left out.
fn ranges_of(text: &str) -> Vec<(u64, u64)> {
    let range = |piece: &str| {
        let mut numbers = piece.split(':');
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    };
    text.split(',').filter_map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_are_read_as_ranges() {
        assert_eq!(ranges_of("0:10:0,20:30:2"), [(0, 10), (20, 30)]);
        assert_eq!(ranges_of(""), []);
    }
}
