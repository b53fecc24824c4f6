//! The cluster delivers, and what is done to its servers and daemons has the effect that its name says.

#![expect(
    clippy::unwrap_used,
    reason = "a test says where it failed by panicking there"
)]

#[path = "cluster/daemons.rs"]
mod daemons;
#[path = "shared/inside.rs"]
mod inside;
#[path = "cluster/ledger.rs"]
mod ledger;
#[path = "cluster/store.rs"]
mod store;

use std::fs;
use std::time::Duration;

use distjob_rig::cluster::{Cluster, Daemon, Settings};
use distjob_rig::history::RedisKind;
use harness::eventually;
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(30);

/// Servers, an executor and a watcher.
struct Rig {
    // Daemons before servers, servers before the directory.
    executor: Daemon,
    watcher: Daemon,
    cluster: Cluster,
    _dir: TempDir,
}

impl Rig {
    async fn start(redis: RedisKind) -> Rig {
        Rig::with(redis, |_| ()).await
    }

    async fn with(redis: RedisKind, change: impl FnOnce(&mut Settings)) -> Rig {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = Settings::new(dir.path().join("run"), 1, redis);
        settings.clocks = true;
        settings.sink_bytes = 1 << 20;
        change(&mut settings);
        let cluster = Cluster::start(settings).await.unwrap();
        let executor = cluster.executor("executor-1").await.unwrap();
        let watcher = cluster.watcher("watcher-1").await.unwrap();
        Rig {
            executor,
            watcher,
            cluster,
            _dir: dir,
        }
    }

    /// Submits a job with one task, whose value is the task.
    async fn submit(&self, id: &str) {
        self.submit_task(id, id).await;
    }

    async fn submit_task(&self, id: &str, task: &str) {
        let logs = self.cluster.settings().logs();
        let input = logs.join(format!("{id}.tasks"));
        fs::write(&input, format!("{task}\n")).unwrap();
        let submitter = self.cluster.submitter("submitter-1").await.unwrap();
        let submitter = submitter.args(["once", "--id", id, "-"]).stdin_file(input);
        let submitter = submitter.start(&format!("submit-{id}"), &logs).unwrap();
        assert_eq!(submitter.succeeded(SOON).await.unwrap(), [id]);
    }

    async fn delivered(&self, id: &str) {
        let file = self.cluster.sink().path().join(format!("default/{id}.jsonl"));
        let line = eventually("the job is delivered", SOON, async || {
            Ok(fs::read_to_string(&file)?)
        })
        .await;
        assert!(line.contains(&format!("\"value\":\"{id}\"")), "{line}");
    }

    /// A job goes through all of it.
    async fn works(&self, id: &str) {
        self.submit(id).await;
        self.delivered(id).await;
    }
}
