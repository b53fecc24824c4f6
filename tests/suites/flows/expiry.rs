//! Staged tasks that are gone before the job that has them is created: it is never created without.

use distjob_core::{JobId, JobState};
use harness::{World, eventually};
use redis::AsyncCommands as _;

use crate::SOON;
use crate::plot::{Plot, values};
use crate::stage::QUEUE;

const MERGE: (&str, &str) = ("merge", "queue = \"merged\"");

/// Waits until tasks are staged for the job of that id, and removes them, as time does.
async fn expire(world: &World, id: &JobId) {
    let list = eventually("tasks are staged", SOON, async || {
        let keys = world.keys().await?;
        let staged = |name: &str| name.contains(&format!("{{{id}}}:in:then-"));
        let list = keys.into_iter().find(|key| staged(&key.name));
        list.map(|key| key.name)
            .ok_or_else(|| anyhow::anyhow!("no list of {id}"))
    })
    .await;
    let removed: u64 = world.redis().await.unwrap().del(list).await.unwrap();
    assert_eq!(removed, 1);
}

#[tokio::test]
async fn tasks_that_expired_just_before_their_job_is_created_are_made_anew() {
    let plot = Plot::new(&[MERGE]).await;
    let watcher = plot.watcher_with_point("w", "delivered=stop").await;
    let job = plot.stage.processed(23).await;
    let log = watcher.stderr();
    log.wait("point=\"delivered\"", SOON).await.unwrap();
    let id = job.id.follow_up(job.entry.life, "merge");
    expire(&plot.stage.world, &id).await;
    watcher.resume().unwrap();
    plot.comes_true(&job, "merge", &values(&job)).await;
    plot.stage.delivered(&job).await;
}

#[tokio::test]
async fn tasks_that_expired_while_a_sink_failed_are_made_anew() {
    let plot = Plot::new(&[MERGE]).await;
    let mut job = plot.stage.submit(23).await;
    plot.stage.execute(&job, 23).await;
    // No file takes the place of a directory.
    let target = plot
        .stage
        .world
        .sink()
        .join(QUEUE)
        .join(format!("{}.jsonl", job.id));
    std::fs::create_dir_all(&target).unwrap();
    let watcher = plot.watcher("w").await;
    plot.stage.set(&mut job, JobState::Processed).await;
    watcher.stderr().wait("trying again", SOON).await.unwrap();
    let id = job.id.follow_up(job.entry.life, "merge");
    expire(&plot.stage.world, &id).await;
    std::fs::remove_dir(&target).unwrap();
    plot.comes_true(&job, "merge", &values(&job)).await;
    plot.stage.delivered(&job).await;
}
