//! The servers and daemons of a run, each on its host.
//!
//! ```text
//! zookeeper-1 zookeeper-2 zookeeper-3      redis-1 [redis-2]  as `redis`
//!         executor-1 …   watcher-1 …   submitter-1 …
//! ```
//!
//! [`Cluster::start`] starts the servers. Daemons are started one by one, under names that are the caller's; a name keeps
//! its host, its clock and its log files over all processes that are started under it. All of it dies with the rig.

mod clock;
mod daemon;
mod ledger;
mod outlets;
mod programs;
mod settings;
mod sink;
mod store;

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};
use harness::Program;

pub use self::clock::Clock;
pub use self::daemon::Daemon;
pub use self::ledger::Ledger;
pub use self::outlets::{Mood, Outlets};
pub(crate) use self::programs::{clear_away, left_behind};
pub use self::settings::Settings;
pub use self::sink::Sink;
pub use self::store::{Offset, Store};
use crate::net::{Fabric, Host};

/// The znode below which everything of a run is.
pub const ROOT: &str = "/distjob";
/// What all keys of a run but plain lists begin with.
pub const PREFIX: &str = "distjob:";

/// All that runs. Drop the daemons before it.
#[derive(Debug)]
pub struct Cluster {
    settings: Settings,
    // Servers before their hosts: fields are dropped in this order.
    ledger: Ledger,
    store: Store,
    sink: Sink,
    outlets: Outlets,
    /// The program of tasks that misbehave.
    wild: PathBuf,
    fabric: Fabric,
    hosts: tokio::sync::Mutex<HashMap<String, Host>>,
    incarnations: Mutex<HashMap<String, u64>>,
}

impl Cluster {
    /// Starts the servers, and returns when they serve. Everything is in `settings.dir`, which is created: the servers'
    /// files below `zookeeper` and `redis`, configurations and logs below `logs`.
    pub async fn start(settings: Settings) -> Result<Cluster> {
        let dir = &settings.dir;
        for dir in [settings.logs(), settings.executions()] {
            fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
        }
        let wild = programs::write(dir)?;
        let fabric = Fabric::open(&settings.logs(), settings.seed)?;
        let sink = Sink::open(&dir.join("sink"), settings.sink_bytes)?;
        let outlets = Outlets::open(&fabric.rig()).await?;
        let (zookeeper_dir, redis_dir) = (dir.join("zookeeper"), dir.join("redis"));
        let (ledger, store) = tokio::try_join!(
            Ledger::start(&fabric, &zookeeper_dir),
            Store::start(&fabric, &redis_dir, settings.redis)
        )?;
        Ok(Cluster {
            settings,
            ledger,
            store,
            sink,
            outlets,
            wild,
            fabric,
            hosts: tokio::sync::Mutex::default(),
            incarnations: Mutex::default(),
        })
    }

    /// How it is run.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The hosts and links.
    pub fn fabric(&self) -> &Fabric {
        &self.fabric
    }

    /// ZooKeeper.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Redis.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Where watchers deliver to.
    pub fn sink(&self) -> &Sink {
        &self.sink
    }

    /// What else watchers deliver to.
    pub fn outlets(&self) -> &Outlets {
        &self.outlets
    }

    /// `host:port,…` of ZooKeeper for the rig itself, past all proxies.
    pub fn zookeeper(&self) -> String {
        self.ledger.connect_string()
    }

    /// `redis://host:port` for the rig itself, past all proxies; the primary's at present. After [`Store::promote`] ask
    /// again.
    pub fn redis_url(&self) -> String {
        self.store.primary().url()
    }

    /// The host of this name; made when it is first asked for.
    pub async fn host(&self, name: &str) -> Result<Host> {
        let mut hosts = self.hosts.lock().await;
        if let Some(host) = hosts.get(name) {
            return Ok(host.clone());
        }
        let host = self.fabric.host(name).await?;
        hosts.insert(name.to_owned(), host.clone());
        Ok(host)
    }

    /// Starts an executor with the handler for drills, and programs for the other queues. It is not registered yet. Its predecessor of the same name must
    /// have ended.
    pub async fn executor(&self, name: &str) -> Result<Daemon> {
        let file = self.settings.executions().join(name);
        let mut prefix = self.fabric.prefix(&self.host(name).await?)?;
        if let Some(bytes) = self.settings.executor_bytes {
            prefix.extend(["prlimit", &format!("--data={bytes}"), "--"].map(OsString::from));
        }
        let program = self
            .daemon(
                "executor-d",
                name,
                &(self.settings.executor_tables() + &programs::tables(&self.wild, &file)),
            )
            .await?
            .within(&prefix)
            .env("DISTJOB_TEST_HANDLER", "drill")
            .env("DISTJOB_TEST_EXECUTIONS", &file);
        self.start_daemon(program, name, Some(file)).await
    }

    /// Starts a watcher that delivers to [`Cluster::sink`]. Otherwise as [`Cluster::executor`].
    pub async fn watcher(&self, name: &str) -> Result<Daemon> {
        self.ambushed_watcher(name, "").await
    }

    /// As [`Cluster::watcher`]; what `points` say befalls it when it first comes there, as in `before-rename=kill`.
    pub async fn ambushed_watcher(&self, name: &str, points: &str) -> Result<Daemon> {
        let tables = self.settings.watcher_tables(&self.sink.path()) + &self.outlets.tables();
        let program = self.daemon("watcher-d", name, &tables).await?;
        let program = program.env("DISTJOB_TEST_POINTS", points);
        self.start_daemon(program, name, None).await
    }

    /// A `submitter` on the host `on`, to be given arguments and started with [`harness::Program::start`], its files in
    /// [`Settings::logs`].
    pub async fn submitter(&self, on: &str) -> Result<Program> {
        let host = self.host(on).await?;
        self.program("submitter", &host, &self.settings.submitter_tables())
            .await
    }

    /// A `distjobctl` beside the rig, which no partition reaches.
    pub async fn operator(&self) -> Result<Program> {
        self.program("distjobctl", &self.fabric.rig(), "").await
    }

    async fn daemon(&self, binary: &str, name: &str, tables: &str) -> Result<Program> {
        let host = self.host(name).await?;
        let tables = format!("[admin]\nlisten = \"{}:0\"\n\n{tables}", host.ip());
        self.program(binary, &host, &tables).await
    }

    async fn program(&self, binary: &str, host: &Host, tables: &str) -> Result<Program> {
        let zookeeper = self.ledger.connect_string_for(&self.fabric, host).await?;
        let redis = self.store.url(&self.fabric, host).await?;
        let config = self.settings.shared_tables(&zookeeper, &redis) + tables;
        Ok(Program::of_workspace(binary)?
            .config(config)
            .within(&self.fabric.prefix(host)?))
    }

    async fn start_daemon(
        &self,
        program: Program,
        name: &str,
        executions: Option<PathBuf>,
    ) -> Result<Daemon> {
        let clock = match self.settings.clocks {
            true => Some(Clock::right(&self.settings.logs(), name)?),
            false => None,
        };
        let program = clock.iter().fold(program, |program, clock| clock.give(program));
        let process = program.start(name, &self.settings.logs())?;
        let incarnation = {
            let mut started = self.incarnations.lock().unwrap_or_else(PoisonError::into_inner);
            let next = started.entry(name.to_owned()).or_default();
            *next += 1;
            *next - 1
        };
        Ok(Daemon {
            process,
            host: self.host(name).await?,
            incarnation,
            clock,
            executions,
        })
    }
}
