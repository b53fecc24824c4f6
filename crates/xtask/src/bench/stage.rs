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
const LIMIT: Duration = Duration::from_secs(600);

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
        let config = format!(
            "{}[admin]\nlisten = \"127.0.0.1:0\"\n\n{toml}",
            self.world.config()
        );
        let program = released("executor-d").config(config);
        let name = format!("executor-{}", self.executors.len() + 1);
        self.executors
            .push(self.world.start_member(program, &name).await?);
        Ok(())
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
