//! One measure: servers, executors, jobs.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use harness::{AppendOnly, Process, Program, World};
use zookeeper_client::Client;

use crate::shell::target;

/// No measure takes so long on any machine.
pub(super) const LIMIT: Duration = Duration::from_secs(600);

/// Between two looks at a job: short against what is measured, long against what a look costs.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Private servers and a ledger to look into.
pub(super) struct Stage {
    // Before the world: fields are dropped in this order.
    executors: Vec<Process>,
    ledger: Client,
    world: World,
}

impl Stage {
    /// With nobody on it yet.
    pub(super) async fn new() -> Result<Self> {
        let world = World::private_with(AppendOnly::No).await?;
        Ok(Self {
            executors: Vec::new(),
            ledger: world.zk().await?,
            world,
        })
    }

    /// Lets an executor with this configuration enter; returns when it has registered.
    pub(super) async fn executor(&mut self, toml: &str) -> Result<()> {
        let name = format!("executor-{}", self.executors.len() + 1);
        let executor = self.daemon("executor-d", toml);
        self.executors
            .push(self.world.start_member(executor, &name).await?);
        Ok(())
    }

    /// Lets a watcher with this configuration enter; returns when it has registered.
    pub(super) async fn watcher(&self, toml: &str) -> Result<Process> {
        let watcher = self.daemon("watcher-d", toml);
        self.world.start_member(watcher, "watcher").await
    }

    fn daemon(&self, binary: &str, toml: &str) -> Program {
        let config = self.world.config();
        released(binary).config(format!("{config}[admin]\nlisten = \"127.0.0.1:0\"\n\n{toml}"))
    }

    /// The executors, in the order in which they entered.
    pub(super) fn executors(&self) -> &[Process] {
        &self.executors
    }

    /// Submits tasks, as jobs of `batch` each.
    pub(super) async fn submit(&self, queue: &str, tasks: &Path, batch: usize) -> Result<Vec<String>> {
        let program = released("submitter")
            .config(self.world.config())
            .args(["once", "--queue", queue, "--batch", &batch.to_string()])
            .arg(tasks);
        self.world.start(program, "submitter")?.succeeded(LIMIT).await
    }

    /// Begins to submit tasks as one job. How much memory that takes is watched.
    pub(super) fn submitter(&self, queue: &str, tasks: &Path) -> Result<Process> {
        let program = released("submitter")
            .config(self.world.config())
            .args(["once", "--queue", queue])
            .arg(tasks);
        self.world.start(program.watch_memory(), "submitter")
    }

    /// How many bytes Redis has taken for what it keeps.
    pub(super) async fn redis_memory(&self) -> Result<u64> {
        let info: String = redis::cmd("INFO")
            .arg("memory")
            .query_async(&mut self.world.redis().await?)
            .await?;
        let used = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
        Ok(used.context("no used_memory")?.trim().parse()?)
    }

    /// Returns when a job is delivered, and its znode gone.
    pub(super) async fn gone(&self, job: &str) -> Result<()> {
        let (path, begun) = (self.world.path(&format!("jobs/{job}")), Instant::now());
        while self.ledger.check_stat(&path).await?.is_some() {
            ensure!(begun.elapsed() < LIMIT, "job {job} is not delivered");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Returns when every task of these jobs has its outcome.
    pub(super) async fn done(&self, jobs: &[String]) -> Result<()> {
        let begun = Instant::now();
        for job in jobs {
            loop {
                let (data, _) = self
                    .ledger
                    .get_data(&self.world.path(&format!("jobs/{job}")))
                    .await?;
                match String::from_utf8_lossy(&data).split('=').next() {
                    Some("subm") => ensure!(begun.elapsed() < LIMIT, "job {job} does not end"),
                    Some("prcd") => break,
                    state => bail!("job {job} is {state:?}"),
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
        Ok(())
    }

    /// Submits one job and returns when it is done: how long both took together.
    pub(super) async fn run(&self, queue: &str, tasks: &Path) -> Result<Duration> {
        let begun = Instant::now();
        let jobs = self.submit(queue, tasks, 10_000_000).await?;
        self.done(&jobs).await?;
        Ok(begun.elapsed())
    }

    /// The servers, and a directory.
    pub(super) fn world(&self) -> &World {
        &self.world
    }

    /// A file with these tasks, a line each.
    pub(super) fn tasks(&self, name: &str, tasks: impl IntoIterator<Item = String>) -> Result<PathBuf> {
        let path = self.world.dir().join(name);
        let text: String = tasks.into_iter().map(|task| task + "\n").collect();
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }

    /// Sends the executors home.
    pub(super) async fn clear(&mut self) -> Result<()> {
        for executor in self.executors.drain(..) {
            executor.stop(Duration::from_secs(60)).await?;
        }
        Ok(())
    }
}

/// A program of this workspace, built for release.
fn released(name: &str) -> Program {
    Program::at(target().join("release").join(name))
}
