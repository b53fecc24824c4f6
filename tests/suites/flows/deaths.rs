//! A watcher that dies, or freezes, at each point of its way: what follows is created once, whoever resumes.

use harness::eventually;

use crate::SOON;
use crate::plot::{Plot, values};

const STEPS: [(&str, &str); 2] = [
    ("merge", "queue = \"merged\""),
    ("whole", "queue = \"whole\"\npayload = \"archive\""),
];

/// A watcher kills itself at `point`; the next one brings the job to its end.
async fn dies_at(point: &str) {
    let plot = Plot::new(&STEPS).await;
    let first = plot.watcher_with_point("first", &format!("{point}=kill")).await;
    let job = plot.stage.processed(23).await;
    assert!(!first.wait(SOON).await.unwrap().success());
    let _second = plot.watcher("second").await;
    plot.comes_true(&job, "merge", &values(&job)).await;
    let whole = plot.follow_up(&job, "whole").await.unwrap();
    assert_eq!(whole.tasks.len(), 1);
    plot.finish(whole).await;
    plot.stage.delivered(&job).await;
}

#[tokio::test]
async fn a_death_with_tasks_staged_is_survived() {
    dies_at("collected").await;
}

#[tokio::test]
async fn a_death_with_the_result_delivered_is_survived() {
    dies_at("delivered").await;
}

#[tokio::test]
async fn a_death_with_what_follows_created_is_survived() {
    dies_at("uploaded").await;
}

#[tokio::test]
async fn a_death_between_two_that_follow_is_survived() {
    dies_at("follow-up-opened").await;
}

#[tokio::test]
async fn a_death_after_the_drop_is_survived() {
    dies_at("dropped").await;
}

#[tokio::test]
async fn a_death_before_the_deletion_is_survived() {
    dies_at("before-delete").await;
}

/// A watcher freezes at `point` for longer than its session lives; another one brings the job, and what follows it, to
/// their ends; then it goes on, and does no harm.
async fn freezes_at(point: &str) {
    let plot = Plot::new(&STEPS[..1]).await;
    let first = plot.watcher_with_point("first", &format!("{point}=stop")).await;
    let before = plot.stage.world.registered(&first).await.unwrap();
    let job = plot.stage.processed(23).await;
    eventually("the first watcher freezes with the lock", SOON, async || {
        let locks = plot.stage.world.locks().await?;
        anyhow::ensure!(locks.values().eq([&before.name]), "{locks:?}");
        Ok(())
    })
    .await;
    let _second = plot.watcher("second").await;
    plot.comes_true(&job, "merge", &values(&job)).await;
    plot.stage.delivered(&job).await;

    first.resume().unwrap();
    eventually("the first watcher is back under a new name", SOON, async || {
        let after = plot.stage.world.registered(&first).await?;
        anyhow::ensure!(after.name != before.name, "still {}", before.name);
        Ok(())
    })
    .await;
    // What followed has ended, and is not there again.
    assert!(plot.follow_up(&job, "merge").await.is_none());
    let job = plot.stage.processed(5).await;
    plot.comes_true(&job, "merge", &values(&job)).await;
    plot.stage.delivered(&job).await;
}

#[tokio::test]
async fn a_watcher_that_froze_before_it_said_what_follows_creates_nothing() {
    freezes_at("delivered").await;
}

#[tokio::test]
async fn a_watcher_that_froze_with_what_follows_created_opens_nothing_that_is_gone() {
    freezes_at("uploaded").await;
}

#[tokio::test]
async fn two_watchers_let_each_job_be_followed_once() {
    let plot = Plot::new(&STEPS[..1]).await;
    let _watchers = [plot.watcher("one").await, plot.watcher("two").await];
    let mut jobs = Vec::new();
    for count in 1..12 {
        jobs.push(plot.stage.processed(count).await);
    }
    for job in &jobs {
        plot.comes_true(job, "merge", &values(job)).await;
    }
    plot.stage.nothing_is_left().await;
}
