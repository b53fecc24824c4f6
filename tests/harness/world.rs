//! Everything one test needs: servers, a place in them of its own, a directory, and ways to look at what came of it.

mod delivered;
mod look;

use std::collections::BTreeSet;
use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tempfile::TempDir;
use zookeeper_client::SessionId;

pub use self::delivered::{Delivered, is_delivered};
pub use self::look::{Key, Member};
use crate::eventually::within;
use crate::ports::unique;
use crate::process::{Process, Program};
use crate::proxy::{Proxy, Wire};
use crate::servers::zookeeper::sessions;
use crate::servers::{AppendOnly, Redis, ZooKeeper};

/// `host:port` of a ZooKeeper that the whole test run shares.
pub const SHARED_ZOOKEEPER: &str = "DISTJOB_TEST_ZOOKEEPER";
/// `redis://host:port` of a Redis that the whole test run shares.
pub const SHARED_REDIS: &str = "DISTJOB_TEST_REDIS";
/// When set, the directory of a world stays behind, and its path is printed.
pub const KEEP: &str = "DISTJOB_TEST_KEEP";

/// Short, so that the deaths that tests cause are noticed soon; long enough for a busy machine.
const SESSION_TIMEOUT: Duration = Duration::from_secs(2);
const REGISTERED_WITHIN: Duration = Duration::from_secs(30);

/// A root znode and a key prefix that no other test uses, on servers of its own or on shared ones.
#[derive(Debug)]
pub struct World {
    // Servers before the directory: fields are dropped in this order.
    own: Option<(ZooKeeper, Redis)>,
    zookeeper: String,
    redis: String,
    name: String,
    session_timeout: Duration,
    ids: Mutex<BTreeSet<String>>,
    dir: TempDir,
}

impl World {
    /// A world on the servers that [`SHARED_ZOOKEEPER`] and [`SHARED_REDIS`] name; on its own when they are not set. For
    /// tests that do nothing to the servers themselves.
    pub async fn shared() -> Result<World> {
        let (Ok(zookeeper), Ok(redis)) = (env::var(SHARED_ZOOKEEPER), env::var(SHARED_REDIS)) else {
            return World::private().await;
        };
        World::on(zookeeper, redis, None, world_dir()?).await
    }

    /// A world with servers of its own, Redis with an append-only file written each second.
    pub async fn private() -> Result<World> {
        World::private_with(AppendOnly::EverySecond).await
    }

    /// A world with servers of its own.
    pub async fn private_with(append_only: AppendOnly) -> Result<World> {
        let dir = world_dir()?;
        let zookeeper = ZooKeeper::start_in(&dir.path().join("zookeeper")).await?;
        World::with_zookeeper(zookeeper, append_only, dir).await
    }

    /// A world to measure in: servers of its own as they are run in production, ZooKeeper synced to disk.
    pub async fn measured(append_only: AppendOnly) -> Result<World> {
        let dir = world_dir()?;
        let zookeeper = ZooKeeper::start_durable_in(&dir.path().join("zookeeper")).await?;
        World::with_zookeeper(zookeeper, append_only, dir).await
    }

    async fn with_zookeeper(zookeeper: ZooKeeper, append_only: AppendOnly, dir: TempDir) -> Result<World> {
        let redis = Redis::start_in(&dir.path().join("redis"), append_only).await?;
        let (at, url) = (zookeeper.connect_string(), redis.url());
        World::on(at, url, Some((zookeeper, redis)), dir).await
    }

    async fn on(
        zookeeper: String,
        redis: String,
        own: Option<(ZooKeeper, Redis)>,
        dir: TempDir,
    ) -> Result<World> {
        let (name, ids) = (format!("t-{}", unique()), Mutex::default());
        let world = World {
            own,
            zookeeper,
            redis,
            name,
            session_timeout: SESSION_TIMEOUT,
            ids,
            dir,
        };
        look::make_root(&world).await?;
        Ok(world)
    }

    /// Changes the session timeout of the programs started from now on; 2 s at first.
    pub fn set_session_timeout(&mut self, timeout: Duration) {
        self.session_timeout = timeout;
    }

    /// Its own ZooKeeper server. An error in a world on shared servers, which are not for one test to act on.
    pub fn zookeeper(&self) -> Result<&ZooKeeper> {
        self.own
            .as_ref()
            .map(|(zookeeper, _)| zookeeper)
            .context("this needs World::private")
    }

    /// Its own Redis server. An error in a world on shared servers, which are not for one test to act on.
    pub fn redis_server(&self) -> Result<&Redis> {
        self.own
            .as_ref()
            .map(|(_, redis)| redis)
            .context("this needs World::private")
    }

    /// `host:port` of its ZooKeeper.
    pub fn zookeeper_addr(&self) -> &str {
        &self.zookeeper
    }

    /// `redis://host:port` of its Redis.
    pub fn redis_url(&self) -> &str {
        &self.redis
    }

    /// Its root znode, `/t-<unique>`.
    pub fn root(&self) -> String {
        format!("/{}", self.name)
    }

    /// The full path of a znode under its root, from one such as `jobs/<id>`.
    pub fn path(&self, under_root: &str) -> String {
        format!("/{}/{under_root}", self.name)
    }

    /// Its key prefix, `t-<unique>:`.
    pub fn prefix(&self) -> String {
        format!("{}:", self.name)
    }

    /// A temporary directory, with the files of its servers and programs.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Where the watchers that it starts deliver to.
    pub fn sink(&self) -> PathBuf {
        self.dir().join("sink")
    }

    /// A job id that no other world uses, starting with `stem`. The world remembers it for [`World::keys_left`].
    pub fn job_id(&self, stem: &str) -> String {
        let id = format!("{stem}-{}", &unique()[..12]);
        self.remember(&id);
        id
    }

    /// A proxy in front of its ZooKeeper, for [`Program::zookeeper_at`].
    pub async fn zookeeper_proxy(&self) -> Result<Proxy> {
        Proxy::start(self.zookeeper_socket()?, Wire::ZooKeeper).await
    }

    /// A proxy in front of its Redis, for [`Program::redis_at`].
    pub async fn redis_proxy(&self) -> Result<Proxy> {
        let addr = self.redis.trim_start_matches("redis://");
        Proxy::start(
            addr.parse().with_context(|| format!("read the address {addr}"))?,
            Wire::Redis,
        )
        .await
    }

    /// Ends the session of a member, or of anyone, see [`sessions::expire`]; also on shared servers.
    pub async fn expire(&self, session: SessionId) -> Result<()> {
        sessions::expire(self.zookeeper_socket()?, session).await
    }

    fn zookeeper_socket(&self) -> Result<SocketAddr> {
        self.zookeeper
            .parse()
            .with_context(|| format!("read the address {}", self.zookeeper))
    }

    fn remember(&self, id: &str) {
        self.ids
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id.to_owned());
    }

    /// The tables that all programs share, for this world. Levels and admin ports suit tests.
    pub fn config(&self) -> String {
        format!(
            "[zookeeper]\nconnect = {:?}\nroot = {:?}\nsession_timeout = \"{}ms\"\n\n\
             [redis]\nurl = {:?}\nprefix = {:?}\n\n\
             [log]\nlevel = \"info\"\n\n",
            self.zookeeper,
            self.root(),
            self.session_timeout.as_millis(),
            self.redis,
            self.prefix(),
        )
    }

    /// A program of the workspace configured for this world by [`World::config`] and `more` TOML after it.
    pub fn program(&self, binary: &str, more: &str) -> Result<Program> {
        Ok(Program::of_workspace(binary)?.config(self.config() + more))
    }

    /// A daemon: [`World::program`] with its admin listener on a free port.
    pub fn daemon(&self, binary: &str, more: &str) -> Result<Program> {
        self.program(binary, &format!("[admin]\nlisten = \"127.0.0.1:0\"\n\n{more}"))
    }

    /// An executor with `more` TOML, to be started by [`World::start_member`].
    pub fn executor(&self, more: &str) -> Result<Program> {
        self.daemon("executor-d", more)
    }

    /// A watcher that delivers to [`World::sink`], with `more` TOML, to be started by [`World::start_member`].
    pub fn watcher(&self, more: &str) -> Result<Program> {
        self.daemon(
            "watcher-d",
            &format!("[sink]\ndirectory = {:?}\n\n{more}", self.sink()),
        )
    }

    /// Starts a program; its files in the world's directory are named after `name`.
    pub fn start(&self, program: Program, name: &str) -> Result<Process> {
        program.start(name, self.dir())
    }

    /// Starts a daemon and returns when it has registered in ZooKeeper.
    pub async fn start_member(&self, program: Program, name: &str) -> Result<Process> {
        let process = self.start(program, name)?;
        self.registered(&process).await?;
        Ok(process)
    }

    /// Returns the znode of `process` as a member when it has registered.
    pub async fn registered(&self, process: &Process) -> Result<Member> {
        let registered = within(REGISTERED_WITHIN, async || {
            if let Some(status) = process.exit_status() {
                return Ok(Err(status));
            }
            self.member_of(process).await?.map(Ok).context("not there")
        });
        let registered = registered
            .await
            .with_context(|| format!("wait for {} to register", process.name()))?;
        registered.map_err(|status| {
            anyhow::anyhow!(
                "{} ended with {status}:\n{}",
                process.name(),
                process.stderr().tail(30)
            )
        })
    }

    /// Runs `submitter once` with `args`, and returns the ids of the jobs that it created.
    pub async fn submit(&self, args: &[&str], limit: Duration) -> Result<Vec<String>> {
        let program = self.program("submitter", "")?.arg("once").args(args);
        let ids = self
            .start(program, &format!("submitter-{}", unique()))?
            .succeeded(limit)
            .await?;
        ids.iter().for_each(|id| self.remember(id));
        Ok(ids)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if env::var_os(KEEP).is_some() {
            self.dir.disable_cleanup(true);
            eprintln!("kept {}", self.dir.path().display());
        }
    }
}

fn world_dir() -> Result<TempDir> {
    tempfile::Builder::new()
        .prefix("distjob-test-")
        .tempdir()
        .context("make a temporary directory")
}
