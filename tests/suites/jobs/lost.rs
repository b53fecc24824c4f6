//! Jobs whose tasks Redis does not have, or not as many as their znode says.

use anyhow::ensure;
use harness::{Process, World, eventually};
use redis::AsyncCommands as _;

use crate::SOON;
use crate::crew::{Executor, calm_world, metric_becomes, start_watcher, verdict};

/// A world with a watcher and an executor.
async fn staffed_world() -> (World, Process, Executor) {
    let world = calm_world().await;
    let watcher = start_watcher(&world, "w").await;
    let executor = Executor::start(&world, "e").await;
    (world, watcher, executor)
}

/// What the znode of a job says once it is lost.
async fn becomes_lost(world: &World, id: &str) -> String {
    eventually("the job is lost", SOON, async || {
        let mut jobs = world.jobs().await?;
        let data = jobs.remove(id).unwrap_or_else(|| panic!("job {id} is gone"));
        ensure!(data.starts_with("lost="), "{data}");
        Ok(data)
    })
    .await
}

/// What an operator does with `distjobctl`.
async fn operate(world: &World, command: &str, id: &str) {
    let program = world.program("distjobctl", "").unwrap().args([command, id]);
    let name = format!("{command}-{id}");
    (world.start(program, &name).unwrap().succeeded(SOON).await).unwrap();
}

/// What an operator does by hand.
async fn set(world: &World, id: &str, data: &str) {
    let (zk, path) = (world.zk().await.unwrap(), world.path(&format!("jobs/{id}")));
    zk.set_data(&path, data.as_bytes(), None).await.unwrap();
}

#[tokio::test]
async fn a_count_that_does_not_match_the_list_makes_a_job_lost_until_it_is_cancelled() {
    let (world, watcher, _executor) = staffed_world().await;
    let mut redis = world.redis().await.unwrap();
    for (pushed, announced) in [(3, 5), (7, 5), (0, 2), (1, 1_u64 << 48)] {
        let id = world.job_id("mismatch");
        for number in 0..pushed {
            redis.rpush::<_, _, ()>(&id, number).await.unwrap();
        }
        world.create_job(&id, format!("subm={announced}")).await.unwrap();

        let data = becomes_lost(&world, &id).await;
        let why = match pushed {
            0 => "redis has no tasks of the job".to_owned(),
            _ => format!("redis has a list of {pushed} tasks, which is another number"),
        };
        assert_eq!(data, format!("lost={announced};why={why}"));
        watcher
            .wait_log(&format!("ERROR*lost; *{id}*{why}"), SOON)
            .await
            .unwrap();
        metric_becomes(&watcher, r#"distjob_jobs{state="lost"}"#, 1).await;
        assert_eq!(world.delivered("default", &id).unwrap(), None);
        assert_eq!(
            redis.llen::<_, u64>(&id).await.unwrap(),
            pushed,
            "the list is as it was"
        );

        operate(&world, "cancel", &id).await;
        world.drained(SOON).await.unwrap();
        assert_eq!(world.delivered("default", &id).unwrap(), None);
    }
    metric_becomes(&watcher, "distjob_jobs_lost_total", 4).await;
    metric_becomes(&watcher, "distjob_jobs_cancelled_total", 4).await;

    let id = world.job_id("other");
    world.plain_submit(&id, &["17"]).await.unwrap();
    world.drained(SOON).await.unwrap();
    world.delivered_whole("default", &id, &["17"]).unwrap();
}

#[tokio::test]
async fn a_lost_job_comes_back_when_its_tasks_do_and_an_operator_says_so() {
    let (world, _watcher, executor) = staffed_world().await;
    let mut redis = world.redis().await.unwrap();
    let (id, tasks) = (world.job_id("back"), ["17", "18", "19"]);
    world.create_job(&id, "subm=3;queue=primes").await.unwrap();
    let data = becomes_lost(&world, &id).await;
    assert!(data.starts_with("lost=3;queue=primes;why="), "{data}");
    redis.rpush::<_, _, ()>(&id, &tasks).await.unwrap();

    operate(&world, "restore", &id).await;
    world.drained(SOON).await.unwrap();
    for line in world.delivered_whole("primes", &id, &tasks).unwrap() {
        let number = std::str::from_utf8(&line.task).unwrap().parse().unwrap();
        assert_eq!(line.outcome, verdict(number));
    }
    assert_eq!(executor.executions(), 3);
}

#[tokio::test]
async fn a_job_whose_submitter_died_before_it_was_open_is_lost_when_nobody_opens_it_in_time() {
    let world = calm_world().await;
    let (id, input) = (world.job_id("unopened"), world.dir().join("input"));
    std::fs::write(&input, "17\n18\n").unwrap();
    let submitter = world
        .program("submitter", "[submitter]\nstaging_ttl = \"1s\"\n")
        .unwrap();
    let submitter = submitter
        .args(["once", "--id", &id])
        .arg(&input)
        .env("DISTJOB_TEST_POINTS", "created=kill");
    let submitter = world.start(submitter, "submitter").unwrap();
    assert!(!submitter.wait(SOON).await.unwrap().success());
    assert!(submitter.stdout().lines().is_empty(), "it reported nothing");
    eventually("what it pushed expires", SOON, async || {
        let keys = world.keys_left().await?;
        ensure!(keys.is_empty(), "{keys:?}");
        Ok(())
    })
    .await;
    let _watcher = start_watcher(&world, "w").await;
    let _executor = Executor::start(&world, "e").await;
    let data = becomes_lost(&world, &id).await;
    assert!(data.ends_with(";why=redis has no tasks of the job"), "{data}");
    operate(&world, "cancel", &id).await;
    world.drained(SOON).await.unwrap();
}

#[tokio::test]
async fn a_job_that_comes_back_without_its_tasks_is_lost_again_and_can_be_cancelled_by_hand() {
    let (world, watcher, _executor) = staffed_world().await;
    let id = world.job_id("again");
    world.create_job(&id, "subm=2").await.unwrap();
    becomes_lost(&world, &id).await;
    let mark = watcher.stderr().mark();
    set(&world, &id, "subm=2").await;
    let lost = format!("ERROR*lost; *{id}");
    watcher.stderr().wait_after(mark, &lost, SOON).await.unwrap();
    becomes_lost(&world, &id).await;
    set(&world, &id, "cncl=2").await;
    world.drained(SOON).await.unwrap();
    metric_becomes(&watcher, "distjob_jobs_lost_total", 2).await;
}
