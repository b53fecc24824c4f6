//! When jobs move: every change under `/jobs`, told by the server.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use harness::World;
use tokio::time::timeout;
use zookeeper_client::{AddWatchMode, Client, EventType, PersistentWatcher, SessionState};

/// What happened to the znode of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It was created.
    Created,
    /// It has other data.
    Changed,
    /// It is gone: the job is delivered, or was cancelled.
    Gone,
}

/// Hears of every step of every job from the moment at which this was made. Nothing is polled.
///
/// A session of its own: the events of many jobs do not wait behind anybody's requests.
#[derive(Debug)]
pub(crate) struct Jobs {
    ledger: Client,
    directory: String,
    steps: PersistentWatcher,
}

impl Jobs {
    /// Begins to listen.
    pub(crate) async fn listen(world: &World) -> Result<Self> {
        let (ledger, directory) = (world.zk().await?, world.path("jobs"));
        let steps = ledger
            .watch(&directory, AddWatchMode::PersistentRecursive)
            .await
            .context("watch jobs")?;
        Ok(Self {
            ledger,
            directory,
            steps,
        })
    }

    /// The next step of any job: which one, and when it was heard of. An error when the connection was lost, since events may
    /// be missing then. Cancellation safe.
    pub(crate) async fn next(&mut self) -> Result<(String, Step, Instant)> {
        loop {
            let event = self.steps.changed().await;
            let now = Instant::now();
            let step = match event.event_type {
                EventType::NodeCreated => Step::Created,
                EventType::NodeDataChanged => Step::Changed,
                EventType::NodeDeleted => Step::Gone,
                EventType::NodeChildrenChanged => continue,
                EventType::Session => {
                    ensure!(
                        event.session_state == SessionState::SyncConnected,
                        "the benchmark's own session is {}",
                        event.session_state
                    );
                    continue;
                }
            };
            let id = event.path.strip_prefix(&self.directory);
            if let Some(id) = id.and_then(|rest| rest.strip_prefix('/')) {
                return Ok((id.to_owned(), step, now));
            }
        }
    }

    /// Returns when `count` more jobs are gone: each with the moment of that.
    pub(crate) async fn gone(&mut self, count: usize, limit: Duration) -> Result<BTreeMap<String, Instant>> {
        let mut gone = BTreeMap::new();
        let all = async {
            while gone.len() < count {
                let (id, step, at) = self.next().await?;
                if step == Step::Gone {
                    gone.insert(id, at);
                }
            }
            anyhow::Ok(())
        };
        match timeout(limit, all).await {
            Ok(heard) => heard?,
            Err(_) => anyhow::bail!("{} of {count} jobs are delivered after {limit:?}", gone.len()),
        }
        Ok(gone)
    }

    /// Returns when these jobs, which are there, have left the state `subm`: every task has its outcome.
    pub(crate) async fn done(&mut self, jobs: &[String], limit: Duration) -> Result<()> {
        let all = async {
            let mut open = BTreeSet::new();
            for id in jobs {
                if self.is_open(id).await? {
                    open.insert(id.clone());
                }
            }
            while !open.is_empty() {
                let (id, step, _) = self.next().await?;
                if step != Step::Created && open.contains(&id) && !self.is_open(&id).await? {
                    open.remove(&id);
                }
            }
            anyhow::Ok(())
        };
        timeout(limit, all)
            .await
            .with_context(|| format!("jobs are open after {limit:?}"))?
    }

    async fn is_open(&self, id: &str) -> Result<bool> {
        match self.ledger.get_data(&format!("{}/{id}", self.directory)).await {
            Err(zookeeper_client::Error::NoNode) => Ok(false),
            read => Ok(read.context("read a job")?.0.starts_with(b"subm")),
        }
    }
}
