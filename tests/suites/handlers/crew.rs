//! One executor with the handlers of a test, one watcher, and what comes out of them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use harness::{Delivered, Process, World, eventually};

use crate::SOON;

/// Nobody dies in these tests unless they say so: sessions outlive the pauses of a busy machine.
const CALM: Duration = Duration::from_secs(20);

/// A world with an executor and a watcher.
pub(crate) struct Crew {
    // Processes before their world: fields are dropped in this order.
    pub(crate) executor: Process,
    _watcher: Process,
    pub(crate) world: World,
}

impl Crew {
    /// An executor that serves the queues of `toml`, which begins with the other keys of `[executor]`.
    pub(crate) async fn start(toml: &str) -> Crew {
        let mut world = World::shared().await.unwrap();
        world.set_session_timeout(CALM);
        let watcher = world.watcher("").unwrap();
        let watcher = world.start_member(watcher, "watcher").await.unwrap();
        let executor = Crew::executor(&world, "executor", toml).await;
        Crew {
            executor,
            _watcher: watcher,
            world,
        }
    }

    /// One more executor.
    pub(crate) async fn executor(world: &World, name: &str, toml: &str) -> Process {
        let executor = world.executor(&format!("[executor]\n{toml}")).unwrap();
        world.start_member(executor, name).await.unwrap()
    }

    /// Submits one job with these tasks, one line each, and returns its id.
    pub(crate) async fn submit(&self, queue: &str, tasks: &[&str]) -> String {
        let file = self.file("tasks", &(tasks.join("\n") + "\n"));
        let args = ["--queue", queue, file.to_str().unwrap()];
        let ids = self.world.submit(&args, SOON).await.unwrap();
        assert_eq!(ids.len(), 1);
        ids[0].clone()
    }

    /// What was delivered of a job, when it is.
    pub(crate) async fn delivered(&self, queue: &str, id: &str) -> Vec<Delivered> {
        eventually(&format!("{id} is delivered"), SOON, async || {
            self.world.delivered(queue, id)?.context("not yet")
        })
        .await
    }

    /// Submits tasks, and returns the outcome of each.
    pub(crate) async fn outcomes(&self, queue: &str, tasks: &[&str]) -> Vec<Result<Vec<u8>, String>> {
        let id = self.submit(queue, tasks).await;
        let lines = self.delivered(queue, &id).await;
        assert_eq!(lines.len(), tasks.len());
        lines.into_iter().map(|line| line.outcome).collect()
    }

    /// Writes a file into the world's directory.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        write(self.world.dir(), name, text)
    }
}

/// Writes a file.
pub(crate) fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}
