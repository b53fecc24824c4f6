//! One executor with the handlers of a test, one watcher, and what comes out of them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use harness::{Delivered, Process, World, eventually};
use serde_json::Value;

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

    /// The lines of a job's file when it is delivered, with all that they say.
    pub(crate) async fn lines(&self, queue: &str, id: &str) -> Vec<Value> {
        self.delivered(queue, id).await;
        let path = self.world.sink().join(queue).join(format!("{id}.jsonl"));
        let text = std::fs::read_to_string(path).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The first line of a file, when it is there.
    pub(crate) async fn line_in(&self, path: &Path) -> String {
        eventually("there is a line", SOON, async || {
            let text = std::fs::read_to_string(path)?;
            let (line, _) = text.split_once('\n').context("not yet")?;
            Ok(line.to_owned())
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

/// The queue `default` with this program for its tasks, and `more` keys of the queue before its table `command`, to
/// which more keys can be appended.
pub(crate) fn command(argv: &[&str], more: &str) -> String {
    format!(
        "queues = [\"default\"]\nslots = 2\n\n[queue]\nhandler = \"command\"\n{more}\n[queue.command]\nargv = {argv:?}\n"
    )
}

/// A value.
pub(crate) fn ok(value: &str) -> Result<Vec<u8>, String> {
    Ok(value.as_bytes().to_vec())
}

/// Writes a file.
pub(crate) fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}
