//! Leaving, reloading, and a store that goes away.

use std::path::PathBuf;

use anyhow::ensure;
use distjob_core::JobState;
use harness::{Process, World, eventually};

use crate::SOON;
use crate::stage::{QUEUE, Stage};

#[tokio::test]
async fn a_watcher_that_is_asked_to_stop_leaves_nothing_behind() {
    let stage = Stage::new().await;
    let watcher = stage.watcher("w").await;
    let mut jobs = Vec::new();
    for _ in 0..20 {
        jobs.push(stage.processed(30).await);
    }
    watcher.stop(SOON).await.unwrap();
    assert!(stage.world.watchers().await.unwrap().is_empty());
    assert!(stage.world.locks().await.unwrap().is_empty());
    assert!(stage.partials().is_empty());

    let _second = stage.watcher("second").await;
    for job in &jobs {
        stage.gone(job).await;
    }
    for job in &jobs {
        stage.delivered(job).await;
    }
}

#[tokio::test]
async fn a_watcher_that_waits_for_redis_gives_its_lock_back_when_asked_to_stop() {
    let stage = Stage::new().await;
    let proxy = stage.world.redis_proxy().await.unwrap();
    let program = stage.program("").redis_at(proxy.addr());
    let watcher = stage.world.start_member(program, "w").await.unwrap();
    proxy.hold_all();
    let job = stage.processed(9).await;
    eventually("the job is locked", SOON, async || {
        anyhow::ensure!(!stage.world.locks().await?.is_empty(), "no lock");
        Ok(())
    })
    .await;
    watcher.stop(SOON).await.unwrap();
    assert!(stage.world.locks().await.unwrap().is_empty());

    let _second = stage.watcher("second").await;
    stage.delivered(&job).await;
}

#[tokio::test]
async fn a_new_sink_directory_is_taken_over_while_the_watcher_runs() {
    let stage = Stage::new().await;
    let watcher = stage.watcher("w").await;
    let first = stage.processed(3).await;
    stage.delivered(&first).await;

    let elsewhere = deliver_elsewhere(&stage, &watcher).await;
    let second = stage.processed(3).await;
    stage.gone(&second).await;
    assert!(
        elsewhere
            .join(QUEUE)
            .join(format!("{}.jsonl", second.id))
            .exists()
    );
}

/// What the one that dies has left. Who asks in vain for the lock of its job collects the result beside that, and removes it.
async fn only_one_is_partial(stage: &Stage) {
    eventually("one result is partial", SOON, async || {
        let partial = stage.partials().len();
        ensure!(partial == 1, "{partial} are");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn what_a_dying_watcher_leaves_in_a_former_sink_directory_is_removed() {
    let stage = Stage::new().await;
    let dying = stage.watcher_with_point("dying", "before-rename=stop").await;
    let job = stage.processed(3).await;
    dying.wait_log("a test asked for this", SOON).await.unwrap();
    let watcher = stage.watcher("w").await;
    let elsewhere = deliver_elsewhere(&stage, &watcher).await;
    only_one_is_partial(&stage).await;
    dying.kill().await.unwrap();
    stage.gone(&job).await;
    assert!(elsewhere.join(QUEUE).join(format!("{}.jsonl", job.id)).exists());
    stage.nothing_is_left().await;
}

#[tokio::test]
async fn a_sink_directory_that_was_replaced_between_two_sessions_is_swept_too() {
    let stage = Stage::new().await;
    let dying = stage.watcher_with_point("dying", "before-rename=stop").await;
    let job = stage.processed(3).await;
    dying.wait_log("a test asked for this", SOON).await.unwrap();
    let proxy = stage.world.zookeeper_proxy().await.unwrap();
    let program = stage.program("").zookeeper_at(proxy.addr());
    let watcher = stage.world.start_member(program, "w").await.unwrap();
    // Its znode stands before it has heard of that.
    watcher.wait_log("registered", SOON).await.unwrap();
    proxy.refuse().await;
    proxy.cut();
    watcher.wait_log("the term is over", SOON).await.unwrap();
    deliver_elsewhere(&stage, &watcher).await;
    only_one_is_partial(&stage).await;
    proxy.accept().await.unwrap();
    dying.kill().await.unwrap();
    stage.gone(&job).await;
    stage.nothing_is_left().await;
}

#[tokio::test]
async fn a_job_that_is_cancelled_when_its_result_is_out_leaves_the_whole_result() {
    let stage = Stage::new().await;
    let watcher = stage.watcher_with_point("w", "after-rename=stop").await;
    let mut job = stage.processed(7).await;
    watcher.wait_log("a test asked for this", SOON).await.unwrap();
    stage.set(&mut job, JobState::Cancelled).await;
    watcher.resume().unwrap();
    watcher
        .wait_log(&format!("cancelled*{}", job.id), SOON)
        .await
        .unwrap();
    stage.delivered(&job).await;
}

#[tokio::test]
async fn a_store_that_goes_away_and_comes_back_delays_and_loses_nothing() {
    let stage = Stage::in_world(World::private().await.unwrap()).await;
    let watcher = stage.watcher("w").await;
    let mut job = stage.submit(30).await;
    stage.execute(&job, 30).await;
    let redis = stage.world.redis_server().unwrap();
    redis.stop().await.unwrap();
    stage.set(&mut job, JobState::Processed).await;
    eventually("the watcher is not ready", SOON, async || {
        let answer = watcher.admin_get("/readyz").await?;
        anyhow::ensure!(
            answer.status == 503 && answer.body.contains("redis"),
            "{answer:?}"
        );
        Ok(())
    })
    .await;
    redis.start().await.unwrap();
    stage.delivered(&job).await;
}

#[tokio::test]
async fn zookeeper_restarted_is_survived() {
    let stage = Stage::in_world(World::private().await.unwrap()).await;
    let _watcher = stage.watcher("w").await;
    stage.world.zookeeper().unwrap().restart().await.unwrap();
    let job = stage.processed(30).await;
    stage.delivered(&job).await;
}

/// Gives a running watcher another sink directory, and returns it when the watcher has taken it over.
async fn deliver_elsewhere(stage: &Stage, watcher: &Process) -> PathBuf {
    let elsewhere = stage.world.dir().join("elsewhere");
    let toml = format!("{}[sink]\ndirectory = {elsewhere:?}\n", stage.world.config());
    watcher.reload(&toml).unwrap();
    watcher
        .wait_log("configuration reloaded: sink.directory", SOON)
        .await
        .unwrap();
    elsewhere
}
