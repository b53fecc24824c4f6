//! Redis, as Debian packages it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client};

use crate::child::mortal;
use crate::servers::{Kind, Place, Server};

/// Long against anything but a hung server: assertions are not the place to test timeouts.
const ANSWERS_WITHIN: Duration = Duration::from_secs(20);

/// A Redis server without snapshots.
pub type Redis = Server<RedisKind>;

/// What survives the end of a Redis server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendOnly {
    /// Nothing.
    No,
    /// All up to a second before SIGKILL; all when stopped.
    EverySecond,
    /// All that was answered.
    Always,
}

/// How a [`Redis`] is run.
#[derive(Debug)]
pub struct RedisKind {
    append_only: AppendOnly,
    /// Whose replica it is from its next start on.
    primary: Mutex<Option<SocketAddr>>,
}

impl RedisKind {
    fn new(append_only: AppendOnly) -> RedisKind {
        RedisKind {
            append_only,
            primary: Mutex::default(),
        }
    }
}

impl Kind for RedisKind {
    const NAME: &'static str = "redis";

    fn command(&self, dir: &Path, listen: SocketAddr) -> Result<Command> {
        // A host of its own may be given more addresses while the server runs.
        let bind = match listen.ip().is_loopback() {
            true => listen.ip().to_string(),
            false => "0.0.0.0".to_owned(),
        };
        let mut command = mortal("redis-server");
        command
            .args([
                "--daemonize",
                "no",
                "--protected-mode",
                "no",
                "--save",
                "",
                "--bind",
            ])
            .arg(bind)
            .arg("--port")
            .arg(listen.port().to_string());
        command.arg("--dir").arg(dir);
        command.args(match self.append_only {
            AppendOnly::No => ["--appendonly", "no", "--appendfsync", "no"],
            AppendOnly::EverySecond => ["--appendonly", "yes", "--appendfsync", "everysec"],
            AppendOnly::Always => ["--appendonly", "yes", "--appendfsync", "always"],
        });
        let primary = *self.primary.lock().unwrap_or_else(PoisonError::into_inner);
        // A primary would wait 5 s for more replicas before it feeds the first.
        command.args(["--repl-diskless-sync-delay", "0"]);
        if let Some(primary) = primary {
            command
                .arg("--replicaof")
                .args([primary.ip().to_string(), primary.port().to_string()]);
        }
        Ok(command)
    }

    async fn answers(&self, addr: SocketAddr) -> bool {
        // An error also while it loads its append-only file.
        matches!(ping(addr).await, Ok(answer) if answer == "PONG")
    }
}

async fn ping(addr: SocketAddr) -> Result<String> {
    Ok(redis::cmd("PING")
        .query_async(&mut connect(&format!("redis://{addr}")).await?)
        .await?)
}

impl Redis {
    /// Starts a server with its files in `dir`, which is created, and returns when it serves. Needs Debian's package
    /// `redis-server`.
    pub async fn start_in(dir: &Path, append_only: AppendOnly) -> Result<Redis> {
        Server::start_kind(dir, || RedisKind::new(append_only))
            .await
            .context("start redis-server")
    }

    /// As [`Redis::start_in`], but in this place, and as the replica of `primary` if there is one.
    pub async fn start_at(
        dir: &Path,
        append_only: AppendOnly,
        place: Place,
        primary: Option<SocketAddr>,
    ) -> Result<Redis> {
        fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        let redis = Server::in_place(dir, RedisKind::new(append_only), place);
        redis.set_primary(primary);
        redis.start().await.context("start redis-server")?;
        Ok(redis)
    }

    /// Whose replica it is from its next start on; none makes it a primary.
    pub fn set_primary(&self, primary: Option<SocketAddr>) {
        *self.kind.primary.lock().unwrap_or_else(PoisonError::into_inner) = primary;
    }

    /// `redis://<address>:<port>`.
    pub fn url(&self) -> String {
        format!("redis://{}", self.addr())
    }

    /// A fresh connection.
    pub async fn connect(&self) -> Result<MultiplexedConnection> {
        connect(&self.url()).await
    }

    /// Removes every key: what a Redis is like that lost its disk.
    pub async fn flush(&self) -> Result<()> {
        Ok(redis::cmd("FLUSHALL")
            .query_async(&mut self.connect().await?)
            .await?)
    }

    /// How many keys there are.
    pub async fn key_count(&self) -> Result<u64> {
        Ok(redis::cmd("DBSIZE")
            .query_async(&mut self.connect().await?)
            .await?)
    }

    /// The lines of `CLIENT LIST`, one a connection, the asking one included.
    pub async fn clients(&self) -> Result<Vec<String>> {
        let list: String = redis::cmd("CLIENT")
            .arg("LIST")
            .query_async(&mut self.connect().await?)
            .await?;
        Ok(list.lines().map(str::to_owned).collect())
    }
}

/// A fresh connection to the Redis at `url`, without the client library's half-second limit on answers.
pub async fn connect(url: &str) -> Result<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(ANSWERS_WITHIN))
        .set_response_timeout(Some(ANSWERS_WITHIN));
    let client = Client::open(url).with_context(|| format!("read the address {url}"))?;
    client
        .get_multiplexed_async_connection_with_config(&config)
        .await
        .with_context(|| format!("connect to {url}"))
}
