//! Who works on what.

use anyhow::ensure;
use harness::{Process, World, eventually};

use crate::SOON;
use crate::crew::{Executor, calm_world, drill, metric, metric_becomes, start_watcher};

/// As many as all tests here share.
const JOBS: u64 = 30;

async fn start(world: &World, name: &str, toml: &str) -> Executor {
    Executor::start_as(world, name, drill(world, toml)).await
}

/// Returns when the shares of all jobs add up, and no two differ by more than one.
async fn shared_evenly(executors: &[&Process]) {
    eventually("the jobs are shared evenly", SOON, async || {
        let mut shares = Vec::new();
        for executor in executors {
            shares.push(metric(executor, "distjob_jobs_share").await);
        }
        let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
        ensure!(
            shares.iter().sum::<u64>() == JOBS && most - least <= 1,
            "{shares:?}"
        );
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn shares_are_even_and_follow_the_members() {
    let world = calm_world().await;
    let (e1, e2, e3) = tokio::join!(
        start(&world, "e1", ""),
        start(&world, "e2", ""),
        start(&world, "e3", "")
    );
    for job in 0..JOBS {
        let id = world.job_id(&format!("job-{job}"));
        // No executor is ever idle, so none helps another.
        world.plain_submit(&id, &["sleep 600000"; 4]).await.unwrap();
    }
    shared_evenly(&[&e1, &e2, &e3]).await;

    let e4 = start(&world, "e4", "").await;
    shared_evenly(&[&e1, &e2, &e3, &e4]).await;

    let session = world.member_of(&e2).await.unwrap().unwrap().session;
    e2.kill().await.unwrap();
    world.expire(session).await.unwrap();
    shared_evenly(&[&e1, &e3, &e4]).await;
}

#[tokio::test]
async fn every_executor_gets_work_and_so_does_one_that_joins() {
    let world = calm_world().await;
    let watcher = start_watcher(&world, "w").await;
    let one_slot = "[executor]\nslots = 1\n";
    let (e1, e2, e3) = tokio::join!(
        start(&world, "e1", one_slot),
        start(&world, "e2", one_slot),
        start(&world, "e3", one_slot)
    );
    let tasks: Vec<String> = (0..20).map(|task| format!("sleep {}", 10 + task % 2)).collect();
    let submit = async || {
        let id = world.job_id("shared");
        world.plain_submit(&id, &tasks).await.unwrap();
        id
    };
    let mut ids = Vec::new();
    for _ in 0..JOBS {
        ids.push(submit().await);
    }
    let working = async |executor: &Executor| {
        eventually("it records outcomes", SOON, async || {
            let recorded = executor.recorded().await;
            ensure!(recorded > 0, "{} has recorded none", executor.name());
            Ok(())
        })
        .await;
    };
    for executor in [&e1, &e2, &e3] {
        working(executor).await;
    }
    let e4 = start(&world, "e4", one_slot).await;
    // However fast the others were meanwhile, there is something left to share.
    for _ in 0..JOBS {
        ids.push(submit().await);
    }
    working(&e4).await;

    world.drained(SOON).await.unwrap();
    for id in &ids {
        world.delivered_whole("default", id, &tasks).unwrap();
    }
    let executions: u64 = [&e1, &e2, &e3, &e4].map(Executor::executions).iter().sum();
    assert_eq!(executions, 2 * JOBS * tasks.len() as u64);
    metric_becomes(&watcher, "distjob_jobs_delivered_total", 2 * JOBS).await;
}
