//! Redis: alone, or with a replica that can take its place. Clients know it by one name.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use harness::servers::redis::connect;
use harness::{AppendOnly, Redis, Wire, within};
use tokio::time::sleep;

use crate::history::RedisKind;
use crate::net::{Fabric, Host, Rule, Service};

const PORT: u16 = 6379;
/// A replica loads all that its primary has.
const SYNCED_WITHIN: Duration = Duration::from_secs(60);
/// How much a promoted replica lacks of what its primary had answered. On a perfect link it would be next to nothing.
const DEAF_FOR: Duration = Duration::from_millis(500);

/// One Redis, or a primary and its replica, on the hosts `redis-1` and `redis-2`; and the name `redis`.
#[derive(Debug)]
pub struct Store {
    servers: Vec<Redis>,
    hosts: Vec<Host>,
    name: Host,
    /// The number of the server that has the name.
    primary: Mutex<usize>,
}

/// A place in the append-only file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offset {
    file: PathBuf,
    bytes: u64,
}

impl Store {
    pub(super) async fn start(fabric: &Fabric, dir: &Path, kind: RedisKind) -> Result<Store> {
        let (append_only, count) = match kind {
            RedisKind::Aof => (AppendOnly::EverySecond, 1),
            RedisKind::AofAlways => (AppendOnly::Always, 1),
            RedisKind::Replica => (AppendOnly::EverySecond, 2),
        };
        let (mut servers, mut hosts) = (Vec::<Redis>::new(), Vec::new());
        for number in 1..=count {
            let host = fabric.host(&format!("redis-{number}")).await?;
            let primary = servers.first().map(Redis::addr);
            let dir = dir.join(number.to_string());
            let place = fabric.place(&host, PORT)?;
            servers.push(Redis::start_at(&dir, append_only, place, primary).await?);
            hosts.push(host);
        }
        let name = fabric.name("redis")?;
        fabric.point(&name, &hosts[0], servers[0].addr().port())?;
        let store = Store {
            servers,
            hosts,
            name,
            primary: Mutex::new(0),
        };
        store.synced().await?;
        Ok(store)
    }

    /// The server that has the name at present: to kill, to pause, to start again.
    pub fn primary(&self) -> &Redis {
        &self.servers[self.primary_number()]
    }

    /// Where it runs.
    pub fn host(&self) -> &Host {
        &self.hosts[self.primary_number()]
    }

    /// The other server and its host, if there is one: a replica, or one that lost its place.
    pub fn other(&self) -> Option<(&Redis, &Host)> {
        let number = self.other_number()?;
        Some((&self.servers[number], &self.hosts[number]))
    }

    /// The hosts of all servers.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// All servers.
    pub fn servers(&self) -> &[Redis] {
        &self.servers
    }

    fn primary_number(&self) -> usize {
        *self.primary.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn other_number(&self) -> Option<usize> {
        let other = 1 - self.primary_number();
        (other < self.servers.len()).then_some(other)
    }

    /// Kills the primary, makes the replica the primary, and moves the name. What the replica had not heard of is lost:
    /// where links between servers can be ruled, it hears nothing of the last half second. The old primary stays away
    /// until [`Store::rejoin`].
    pub async fn promote(&self, fabric: &Fabric) -> Result<()> {
        let number = self.other_number().context("no replica to promote")?;
        let (replica, host) = (&self.servers[number], &self.hosts[number]);
        fabric.rule(self.host(), host, Rule::DOWN);
        sleep(DEAF_FOR).await;
        let killed = self.primary().kill().await;
        fabric.rule(self.host(), host, Rule::PERFECT);
        killed?;
        let mut connection = replica.connect().await?;
        redis::cmd("REPLICAOF")
            .arg(&["NO", "ONE"])
            .query_async::<()>(&mut connection)
            .await
            .context("promote the replica")?;
        replica.set_primary(None);
        fabric.point(&self.name, host, replica.addr().port())?;
        *self.primary.lock().unwrap_or_else(PoisonError::into_inner) = number;
        Ok(())
    }

    /// Starts the server that lost its place as the replica of the primary, and returns when it has the same data.
    pub async fn rejoin(&self) -> Result<()> {
        let (other, _) = self.other().context("there is one server only")?;
        other.set_primary(Some(self.primary().addr()));
        other.start().await?;
        self.synced().await
    }

    /// Returns when the replica, if there is one, follows the primary.
    async fn synced(&self) -> Result<()> {
        let Some((replica, _)) = self.other() else {
            return Ok(());
        };
        within(SYNCED_WITHIN, async || {
            let mut connection = replica.connect().await?;
            let info: String = redis::cmd("INFO")
                .arg("replication")
                .query_async(&mut connection)
                .await?;
            ensure!(info.contains("master_link_status:up"), "{info}");
            Ok(())
        })
        .await
        .context("wait for the replica to follow")
    }

    /// The present end of the primary's append-only file.
    pub fn end_of_file(&self) -> Result<Offset> {
        let dir = self.primary().dir().join("appendonlydir");
        // Files are numbered: `appendonly.aof.<number>.incr.aof`.
        let number = |path: &PathBuf| -> Option<u64> {
            let name = path.file_name()?.to_str()?.strip_suffix(".incr.aof")?;
            name.rsplit('.').next()?.parse().ok()
        };
        let files = fs::read_dir(&dir).with_context(|| format!("list {}", dir.display()))?;
        let file = files
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| number(path).is_some())
            .max_by_key(number)
            .with_context(|| format!("no append-only file in {}", dir.display()))?;
        let bytes = fs::metadata(&file)
            .with_context(|| format!("look at {}", file.display()))?
            .len();
        Ok(Offset { file, bytes })
    }

    /// Cuts up to `bytes` off the append-only file of the primary, which was killed; never what was there at `keep`.
    /// Returns how many bytes went. Redis drops what is left of a command that was cut in two when it starts.
    pub fn cut_tail(&self, bytes: u64, keep: Option<&Offset>) -> Result<u64> {
        ensure!(!self.primary().is_running(), "Redis must not run");
        let end = self.end_of_file()?;
        let floor = keep
            .filter(|keep| keep.file == end.file)
            .map_or(0, |keep| keep.bytes);
        let left = end.bytes.saturating_sub(bytes).max(floor.min(end.bytes));
        File::options()
            .write(true)
            .open(&end.file)
            .and_then(|file| file.set_len(left))
            .with_context(|| format!("cut {}", end.file.display()))?;
        Ok(end.bytes - left)
    }

    /// Allows no more memory than is in use: writes are refused from now on.
    pub async fn limit_memory(&self) -> Result<()> {
        self.config("maxmemory", "1").await
    }

    /// Undoes [`Store::limit_memory`].
    pub async fn free_memory(&self) -> Result<()> {
        self.config("maxmemory", "0").await
    }

    /// Writes the append-only file anew, and returns when that is done.
    ///
    /// A Redis that was started from a file that ends within a script keeps the script's beginning in the file, does not run
    /// it, and runs it when it is started the next time, in the midst of what came later (seen with 7.0.15; Valkey mended it
    /// in its pull request 4342). A file that was written anew has no such half: so does an operator after a power failure.
    pub async fn rewrite_file(&self) -> Result<()> {
        self.ask(&["BGREWRITEAOF"]).await?;
        within(SYNCED_WITHIN, async || {
            let mut connection = self.primary().connect().await?;
            let info: String = redis::cmd("INFO")
                .arg("persistence")
                .query_async(&mut connection)
                .await?;
            let is_done = [
                "aof_rewrite_in_progress:0",
                "aof_rewrite_scheduled:0",
                "aof_last_bgrewrite_status:ok",
            ];
            ensure!(is_done.iter().all(|line| info.contains(line)), "{info}");
            Ok(())
        })
        .await
        .context("write the append-only file anew")
    }

    /// Forgets all scripts, which clients must then send again.
    pub async fn flush_scripts(&self) -> Result<()> {
        self.ask(&["SCRIPT", "FLUSH"]).await
    }

    /// Closes the connections of all clients but this one's; replicas keep theirs.
    pub async fn kill_clients(&self) -> Result<()> {
        self.ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])
            .await
    }

    async fn config(&self, name: &str, value: &str) -> Result<()> {
        self.ask(&["CONFIG", "SET", name, value]).await
    }

    async fn ask(&self, words: &[&str]) -> Result<()> {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        let mut connection = connect(&self.primary().url()).await?;
        (command.query_async(&mut connection).await)
            .with_context(|| format!("ask Redis to {}", words.join(" ")))
    }

    /// What `from` has as its `redis.url`.
    pub(super) async fn url(&self, fabric: &Fabric, from: &Host) -> Result<String> {
        let service = Service {
            port: match fabric {
                Fabric::Namespaces(_) => PORT,
                // Any number: the name says where.
                Fabric::Loopback(_) => self.servers[0].addr().port(),
            },
            wire: Wire::Redis,
        };
        let addr = fabric.address(from, &self.name, service).await?;
        Ok(format!("redis://{addr}"))
    }
}
