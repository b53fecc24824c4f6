//! Jobs that wait until somebody comes, and jobs that need not wait.

use std::time::{Duration, Instant};

use anyhow::ensure;
use futures::future::try_join_all;
use harness::{Process, World, eventually};
use redis::AsyncCommands as _;

use crate::SOON;
use crate::crew::{Executor, PERSISTENT, calm_world, metric, start_watcher, verdict};

const JOBS: u64 = 10_000;
/// Many times what it takes, but less than after what a test is ended from outside, without a word.
const DONE_WITHIN: Duration = Duration::from_secs(180);

/// Jobs of one to three numbers, each submitted plainly, as fast as both stores take them.
async fn pile_up(world: &World, jobs: u64) -> Vec<(String, Vec<u64>)> {
    let (mut redis, zk) = (world.redis().await.unwrap(), world.zk().await.unwrap());
    let jobs: Vec<(String, Vec<u64>)> = (0..jobs)
        .map(|job| (world.job_id("waiting"), (job..=job + job % 3).collect()))
        .collect();
    for chunk in jobs.chunks(500) {
        let mut pushes = redis::pipe();
        for (id, tasks) in chunk {
            pushes.rpush(id, tasks).ignore();
        }
        pushes.exec_async(&mut redis).await.unwrap();
        let creates = chunk.iter().map(|(id, tasks)| {
            let (path, data) = (world.path(&format!("jobs/{id}")), format!("subm={}", tasks.len()));
            let (zk, data) = (&zk, data.into_bytes());
            async move { zk.create(&path, &data, &PERSISTENT).await }
        });
        try_join_all(creates).await.unwrap();
    }
    jobs
}

async fn delivered_by(watchers: &[&Process], jobs: u64) {
    // Looking at the jobs themselves would keep the servers from their work.
    eventually("all jobs are delivered", DONE_WITHIN, async || {
        let mut delivered = 0;
        for watcher in watchers {
            delivered += metric(watcher, "distjob_jobs_delivered_total").await;
        }
        ensure!(delivered == jobs, "{delivered} are");
        Ok(())
    })
    .await;
}

async fn all_right(world: &World, jobs: &[(String, Vec<u64>)]) {
    world.drained(SOON).await.unwrap();
    for (id, numbers) in jobs {
        let tasks: Vec<String> = numbers.iter().map(u64::to_string).collect();
        let lines = world.delivered_whole("default", id, &tasks).unwrap();
        for (line, number) in lines.iter().zip(numbers) {
            assert_eq!(line.outcome, verdict(*number), "{number}");
        }
    }
}

#[tokio::test]
async fn ten_thousand_jobs_wait_for_executors_and_are_then_all_done() {
    let world = calm_world().await;
    let watcher = start_watcher(&world, "w").await;
    let jobs = pile_up(&world, JOBS).await;
    assert_eq!(world.jobs().await.unwrap().len() as u64, JOBS);

    let (e1, e2) = tokio::join!(Executor::start(&world, "e1"), Executor::start(&world, "e2"));
    delivered_by(&[&watcher], JOBS).await;
    all_right(&world, &jobs).await;
    let total: usize = jobs.iter().map(|(_, tasks)| tasks.len()).sum();
    assert_eq!(e1.executions() + e2.executions(), total as u64);
    assert!(e1.executions() > 0 && e2.executions() > 0);
}

#[tokio::test]
async fn ten_thousand_processed_jobs_wait_for_watchers_and_are_then_all_delivered() {
    let world = calm_world().await;
    let executor = Executor::start(&world, "e").await;
    let jobs = pile_up(&world, JOBS).await;
    eventually("all jobs are processed", DONE_WITHIN, async || {
        // To read all of them takes a while. One whose mark was answered too late is not counted.
        let processed = metric(&executor, "distjob_jobs_processed_total").await;
        ensure!(processed <= JOBS, "{processed} are, of {JOBS}");
        ensure!(processed >= JOBS - JOBS / 100, "{processed} are");
        let waiting = world.jobs().await?;
        let processed = waiting.values().filter(|data| data.starts_with("prcd="));
        ensure!(processed.count() as u64 == JOBS, "not all of them");
        Ok(())
    })
    .await;

    let (w1, w2) = tokio::join!(start_watcher(&world, "w1"), start_watcher(&world, "w2"));
    delivered_by(&[&w1, &w2], JOBS).await;
    all_right(&world, &jobs).await;
}

#[tokio::test]
async fn small_jobs_are_delivered_one_after_the_other() {
    let world = calm_world().await;
    let _watcher = start_watcher(&world, "w").await;
    let _executor = Executor::start(&world, "e").await;
    let (mut redis, zk) = (world.redis().await.unwrap(), world.zk().await.unwrap());
    let mut latencies = Vec::new();
    for _ in 0..50 {
        let id = world.job_id("small");
        let file = world.sink().join(format!("default/{id}.jsonl"));
        let path = world.path(&format!("jobs/{id}"));
        let begun = Instant::now();
        redis.rpush::<_, _, ()>(&id, "17").await.unwrap();
        zk.create(&path, b"subm=1", &PERSISTENT).await.unwrap();
        while !file.exists() {
            assert!(begun.elapsed() < SOON, "job {id} was not delivered");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        latencies.push(begun.elapsed());
    }
    latencies.sort();
    println!(
        "from the first byte to the delivered file: half of the jobs took at most {:?}, all of them {:?}",
        latencies[latencies.len() / 2],
        latencies[latencies.len() - 1]
    );
    world.drained(SOON).await.unwrap();
}
