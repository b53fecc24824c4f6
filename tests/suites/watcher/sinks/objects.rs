//! A bucket of an S3-compatible server.

use harness::{Process, Program, S3};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::{is_whole, name, sink, spool_is_empty};
use crate::SOON;
use crate::stage::{Job, Stage};

struct Store {
    s3: S3,
    _dir: TempDir,
}

impl Store {
    async fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let s3 = S3::start_in(dir.path()).await.unwrap();
        Self { s3, _dir: dir }
    }

    /// A watcher that delivers to the bucket `results`, below `a/b`, in parts of 5 MiB.
    fn watcher(&self, stage: &Stage) -> Program {
        let objects = format!(
            "objects.url = \"s3://results/a/b\"\nobjects.part_size = \"5MiB\"\n\
             [sinks.default.objects.options]\n{}",
            self.s3.options()
        );
        stage.program(&sink("objects", &objects))
    }

    /// Starts such a watcher under this name, and returns when it has registered.
    async fn watched(&self, stage: &Stage, name: &str) -> Process {
        let program = self.watcher(stage);
        stage.world.start_member(program, name).await.unwrap()
    }

    async fn object(&self, job: &Job, ending: &str) -> Option<Vec<u8>> {
        let key = format!("a/b/{}.{ending}", name(job));
        self.s3.get("results", &key).await.unwrap()
    }

    /// The job's result is there, whole, with a manifest that tells of it, and nothing else is.
    async fn has(&self, job: &Job) {
        let result = self.object(job, "jsonl").await.expect("the result");
        is_whole(&result, job);
        let manifest = self.object(job, "manifest.json").await.expect("the manifest");
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        let digest: String = Sha256::digest(&result)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            (&manifest["bytes"], &manifest["sha256"], &manifest["tasks"]),
            (&json!(result.len()), &json!(digest), &json!(job.tasks.len()))
        );
        let keys = self.s3.keys("results", "").await.unwrap();
        let expected = ["jsonl", "manifest.json"].map(|ending| format!("a/b/{}.{ending}", name(job)));
        assert_eq!(keys, expected);
    }
}

/// A job whose result has about 16 MiB: four parts.
async fn large(stage: &Stage) -> Job {
    let tasks = (0..100)
        .map(|index| vec![b'a' + (index % 26) as u8; 100_000])
        .collect();
    let job = stage.announce(100, tasks).await;
    let opened = stage
        .store
        .open(&job.id, job.entry.life, 100, &job.entry.data.source);
    opened.await.unwrap();
    stage.execute(&job, 100).await;
    job
}

#[tokio::test]
async fn a_result_is_an_object_with_its_manifest_beside_it() {
    let (stage, store) = (Stage::new().await, Store::start().await);
    store.s3.make_bucket("results").await.unwrap();
    let job = stage.processed(50).await;
    let _watcher = store.watched(&stage, "w").await;
    stage.gone(&job).await;
    store.has(&job).await;
    spool_is_empty(&stage).await;
}

#[tokio::test]
async fn a_large_result_goes_in_parts() {
    let (stage, store) = (Stage::new().await, Store::start().await);
    store.s3.make_bucket("results").await.unwrap();
    let mut job = large(&stage).await;
    stage.set(&mut job, distjob_core::JobState::Processed).await;
    let _watcher = store.watched(&stage, "w").await;
    stage.gone(&job).await;
    store.has(&job).await;
    assert!(store.s3.unfinished("results").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_watcher_that_dies_between_parts_leaves_nothing_that_anybody_sees_and_the_next_one_delivers() {
    let (stage, store) = (Stage::new().await, Store::start().await);
    store.s3.make_bucket("results").await.unwrap();
    let mut job = large(&stage).await;
    stage.set(&mut job, distjob_core::JobState::Processed).await;
    let dying = store.watcher(&stage).env("DISTJOB_TEST_POINTS", "part-sent=kill");
    let dying = stage.world.start_member(dying, "dying").await.unwrap();
    dying.wait(SOON).await.unwrap();
    assert_eq!(store.object(&job, "jsonl").await, None);
    assert_eq!(store.s3.unfinished("results").await.unwrap().len(), 1);

    let _next = store.watched(&stage, "next").await;
    stage.gone(&job).await;
    store.has(&job).await;
}

#[tokio::test]
async fn a_watcher_that_dies_behind_the_last_part_delivers_the_same_again() {
    let (stage, store) = (Stage::new().await, Store::start().await);
    store.s3.make_bucket("results").await.unwrap();
    let job = stage.processed(30).await;
    let dying = store
        .watcher(&stage)
        .env("DISTJOB_TEST_POINTS", "result-sent=kill");
    let dying = stage.world.start_member(dying, "dying").await.unwrap();
    dying.wait(SOON).await.unwrap();
    store.has(&job).await;
    let first = store.object(&job, "jsonl").await;

    let _next = store.watched(&stage, "next").await;
    stage.gone(&job).await;
    store.has(&job).await;
    assert_eq!(store.object(&job, "jsonl").await, first);
}

#[tokio::test]
async fn a_bucket_that_is_missing_is_named_and_tried_until_it_is_there() {
    let (stage, store) = (Stage::new().await, Store::start().await);
    let job = stage.processed(5).await;
    let watcher = store.watched(&stage, "w").await;
    let said = watcher.wait_log("s3://results/a/b/", SOON).await.unwrap();
    assert!(said.contains("NoSuchBucket") || said.contains("404"), "{said}");
    store.s3.make_bucket("results").await.unwrap();
    stage.gone(&job).await;
    store.has(&job).await;
}

#[tokio::test]
async fn a_store_that_is_away_is_tried_until_it_is_back() {
    let (stage, store) = (Stage::new().await, Store::start().await);
    store.s3.kill().await.unwrap();
    let job = stage.processed(5).await;
    let watcher = store.watched(&stage, "w").await;
    watcher.wait_log("s3://results/a/b/", SOON).await.unwrap();
    store.s3.start().await.unwrap();
    store.s3.make_bucket("results").await.unwrap();
    stage.gone(&job).await;
    store.has(&job).await;
}
