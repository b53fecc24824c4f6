//! Data that is gone: lost when the store is ours, and nothing at all when it may not be.

use distjob_core::JobState;
use harness::eventually;
use redis::AsyncCommands as _;

use crate::SOON;
use crate::stage::{Job, Stage};

/// Damages a processed job, lets a watcher look at it, and returns why it is lost.
async fn lost_after(damage: impl AsyncFnOnce(&Stage, &Job)) -> String {
    let stage = Stage::new().await;
    let job = stage.processed(23).await;
    damage(&stage, &job).await;
    let _watcher = stage.watcher("w").await;
    let entry = stage.reaches(&job, JobState::Lost).await;
    assert!(stage.world.locks().await.unwrap().is_empty());
    assert!(stage.partials().is_empty());
    let delivered = stage
        .world
        .delivered(crate::stage::QUEUE, job.id.as_str())
        .unwrap();
    assert_eq!(delivered, None);
    entry.data.why.unwrap()
}

async fn delete(stage: &Stage, key: &str) {
    let mut redis = stage.world.redis().await.unwrap();
    let removed: u64 = redis.del(key).await.unwrap();
    assert_eq!(removed, 1);
}

#[tokio::test]
async fn a_job_without_its_outcomes_is_lost() {
    let why = lost_after(async |stage, job| delete(stage, &stage.keys(job).results).await).await;
    assert_eq!(why, "redis has no outcome of the task at index 0");
}

#[tokio::test]
async fn a_job_that_lacks_one_outcome_in_the_middle_is_lost() {
    let why = lost_after(async |stage, job| {
        let mut redis = stage.world.redis().await.unwrap();
        let removed: u64 = redis.hdel(&stage.keys(job).results, "10").await.unwrap();
        assert_eq!(removed, 1);
    })
    .await;
    assert_eq!(why, "redis has no outcome of the task at index 10");
}

#[tokio::test]
async fn a_job_with_unreadable_outcomes_is_lost() {
    let why = lost_after(async |stage, job| {
        let mut redis = stage.world.redis().await.unwrap();
        let _: u64 = redis
            .hset(&stage.keys(job).results, "10", "15:rubbish")
            .await
            .unwrap();
    })
    .await;
    assert_eq!(why, "the outcomes from index 10 on cannot be read");
}

#[tokio::test]
async fn a_job_without_its_payloads_is_lost() {
    let why = lost_after(async |stage, job| delete(stage, &stage.keys(job).tasks).await).await;
    assert!(why.starts_with("redis lost a part of the job"), "{why}");
}

#[tokio::test]
async fn a_job_without_its_counters_is_lost() {
    let why = lost_after(async |stage, job| delete(stage, &stage.keys(job).meta).await).await;
    assert_eq!(why, "redis has no tasks of the job");
}

#[tokio::test]
async fn a_job_whose_list_has_another_length_is_lost() {
    let stage = Stage::new().await;
    let mut job = stage.announce(5, Stage::tasks(3)).await;
    stage.set(&mut job, JobState::Processed).await;
    let _watcher = stage.watcher("w").await;
    let entry = stage.reaches(&job, JobState::Lost).await;
    assert_eq!(
        entry.data.why.as_deref(),
        Some("redis has a list of 3 tasks, which is another number")
    );
}

#[tokio::test]
async fn an_emptied_store_loses_nothing_until_an_operator_says_so() {
    let stage = Stage::new().await;
    let watcher = stage.watcher("w").await;
    let ready = async || watcher.admin_get("/readyz").await;
    eventually("the watcher is ready", SOON, async || {
        let answer = ready().await?;
        anyhow::ensure!(answer.status == 200, "{answer:?}");
        Ok(())
    })
    .await;
    let mut job = stage.submit(5).await;
    let mark = stage.store.ledger_mark().await.unwrap().unwrap();
    let mut redis = stage.world.redis().await.unwrap();
    for key in stage.world.keys().await.unwrap() {
        let _: u64 = redis.del(&key.name).await.unwrap();
    }

    stage.set(&mut job, JobState::Processed).await;
    watcher.wait_log("distjobctl accept-store", SOON).await.unwrap();
    let answer = ready().await.unwrap();
    assert_eq!(answer.status, 503);
    assert!(
        answer.body.contains("redis has no ledger mark"),
        "{}",
        answer.body
    );
    assert_eq!(stage.look(&job).await.unwrap().data.state, JobState::Processed);

    stage.store.accept_ledger(mark).await.unwrap();
    stage.reaches(&job, JobState::Lost).await;
    eventually("the watcher is ready again", SOON, async || {
        let answer = ready().await?;
        anyhow::ensure!(answer.status == 200, "{answer:?}");
        Ok(())
    })
    .await;
}
