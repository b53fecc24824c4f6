//! What a watcher does in each state in which it can find a job.

use distjob_core::JobState;
use harness::eventually;

use crate::SOON;
use crate::stage::Stage;

#[tokio::test]
async fn a_processed_job_is_delivered_and_leaves_only_a_tombstone() {
    let stage = Stage::new().await;
    let watcher = stage.watcher("w").await;
    let job = stage.processed(53).await;
    stage.delivered(&job).await;
    let line = watcher.wait_log("delivered", SOON).await.unwrap();
    assert!(line.contains("tasks=53") && line.contains("failed=17"), "{line}");
    let metrics = watcher.admin_get("/metrics").await.unwrap().body;
    for expected in [
        "distjob_jobs_delivered_total 1",
        "distjob_tasks_delivered_total{outcome=\"ok\"} 36",
        "distjob_tasks_delivered_total{outcome=\"err\"} 17",
        "distjob_redis_errors_total{kind=\"unclear\"} 0",
        "distjob_locks 0",
    ] {
        assert!(metrics.contains(expected), "{expected} in {metrics}");
    }
}

#[tokio::test]
async fn jobs_that_were_there_before_the_watcher_are_delivered_too() {
    let stage = Stage::new().await;
    let mut jobs = Vec::new();
    for count in [1, 7, 8, 30] {
        jobs.push(stage.processed(count).await);
    }
    let _watcher = stage.watcher("w").await;
    for job in &jobs {
        stage.delivered(job).await;
    }
}

#[tokio::test]
async fn a_job_without_tasks_is_an_empty_file() {
    let stage = Stage::new().await;
    let _watcher = stage.watcher("w").await;
    for state in [JobState::Processed, JobState::Zipped] {
        let mut job = stage.submit(0).await;
        stage.set(&mut job, state).await;
        stage.delivered(&job).await;
    }
}

#[tokio::test]
async fn an_archived_job_starts_over_from_redis() {
    let stage = Stage::new().await;
    let mut job = stage.submit(11).await;
    stage.execute(&job, 11).await;
    stage.set(&mut job, JobState::Zipped).await;
    let _watcher = stage.watcher("w").await;
    stage.delivered(&job).await;
}

#[tokio::test]
async fn an_uploaded_job_is_only_cleaned_up() {
    let stage = Stage::new().await;
    let mut job = stage.submit(11).await;
    stage.execute(&job, 11).await;
    stage.set(&mut job, JobState::Uploaded).await;
    let _watcher = stage.watcher("w").await;
    stage.gone(&job).await;
    stage.nothing_is_left().await;
    assert!(!stage.world.sink().exists());
}

#[tokio::test]
async fn a_cancelled_job_goes_without_a_result_whether_it_was_opened_or_not() {
    let stage = Stage::new().await;
    let mut opened = stage.submit(11).await;
    stage.execute(&opened, 5).await;
    let mut announced = stage.announce(4, Stage::tasks(4)).await;
    let mut empty = stage.submit(0).await;
    let _watcher = stage.watcher("w").await;
    for job in [&mut opened, &mut announced, &mut empty] {
        stage.set(job, JobState::Cancelled).await;
    }
    for job in [&opened, &announced, &empty] {
        stage.gone(job).await;
    }
    stage.nothing_is_left().await;
    assert!(!stage.world.sink().exists());
}

#[tokio::test]
async fn an_unfinished_job_goes_back_to_the_executors() {
    let stage = Stage::new().await;
    let _watcher = stage.watcher("w").await;
    // Half done, and never opened.
    let mut half = stage.submit(11).await;
    stage.execute(&half, 6).await;
    let mut announced = stage.announce(4, Stage::tasks(4)).await;
    for job in [&mut half, &mut announced] {
        stage.set(job, JobState::Processed).await;
        let entry = stage.reaches(job, JobState::Submitted).await;
        assert_eq!(entry.version, 2);
        job.entry = entry;
    }
    stage.execute(&half, 11).await;
    stage.set(&mut half, JobState::Processed).await;
    stage.gone(&half).await;
}

#[tokio::test]
async fn two_watchers_deliver_each_job_once() {
    let stage = Stage::new().await;
    let watchers = [stage.watcher("w1").await, stage.watcher("w2").await];
    let mut jobs = Vec::new();
    for _ in 0..20 {
        jobs.push(stage.processed(9).await);
    }
    for job in &jobs {
        stage.delivered(job).await;
    }
    let delivered = watchers.iter().flat_map(|watcher| watcher.stderr().lines());
    let delivered = delivered.filter(|line| line.contains("delivered")).count();
    assert_eq!(delivered, jobs.len());
}

#[tokio::test]
async fn a_sink_that_fails_delays_its_job_and_no_other() {
    let stage = Stage::new().await;
    // The directory of one queue cannot be made: a file is in its place.
    std::fs::create_dir_all(stage.world.sink()).unwrap();
    let blocker = stage.world.sink().join("default");
    std::fs::write(&blocker, "in the way").unwrap();
    let watcher = stage.watcher("w").await;
    let plain = stage.world.job_id("blocked");
    stage.world.create_job(&plain, "prcd=0").await.unwrap();
    watcher
        .wait_log("failed to create the directory", SOON)
        .await
        .unwrap();

    let job = stage.processed(9).await;
    stage.gone(&job).await;

    std::fs::remove_file(&blocker).unwrap();
    eventually("the blocked job is delivered", SOON, async || {
        let lines = stage.world.delivered("default", &plain)?;
        anyhow::ensure!(lines == Some(Vec::new()), "{lines:?}");
        anyhow::ensure!(!stage.world.jobs().await?.contains_key(&plain), "still there");
        Ok(())
    })
    .await;
}
