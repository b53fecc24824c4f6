//! Tasks from a list or a stream.

use std::collections::BTreeSet;

use anyhow::ensure;
use harness::{Process, Program, World, eventually};
use redis::AsyncCommands as _;

use super::network::metric;
use super::{jobs, program, ready, serve};
use crate::{SOON, keys, start, task_texts};

const TAKE_LIST: &str = include_str!("../../../../crates/submitter/src/run/redis/take_list.lua");

fn list(world: &World) -> String {
    format!("{}in", world.prefix())
}

fn stream(world: &World) -> String {
    format!("{}log", world.prefix())
}

/// Takes from both, ten tasks a job.
fn tables(world: &World) -> String {
    format!(
        "[run.redis]\nlist = {:?}\nstream = {:?}\nqueue = \"primes\"\n\
         [queue]\nmax_tasks = 10\nmax_wait = \"50ms\"\n[submitter]\nmax_task_bytes = \"20B\"\n",
        list(world),
        stream(world)
    )
}

/// Puts the numbers from 0 on into the list.
async fn push(world: &World, count: u64) {
    let numbers: Vec<u64> = (0..count).collect();
    world
        .redis()
        .await
        .unwrap()
        .rpush::<_, _, ()>(list(world), numbers)
        .await
        .unwrap();
}

/// Waits until nothing stands in the list, nor in any batch.
async fn taken(world: &World) {
    eventually("all is taken, and a job", SOON, async || {
        let keys = keys(world).await;
        let left: Vec<_> = keys
            .iter()
            .filter(|key| *key == "in" || key.starts_with("run:"))
            .collect();
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    })
    .await;
}

/// The tasks of all jobs.
async fn all_tasks(world: &World) -> Vec<String> {
    let mut all = Vec::new();
    for id in world.jobs().await.unwrap().into_keys() {
        all.extend(task_texts(world, &id).await);
    }
    all
}

/// Each number once, whatever jobs they are in.
async fn assert_each_once(world: &World, count: u64) {
    let tasks = all_tasks(world).await;
    let numbers: BTreeSet<u64> = tasks.iter().map(|task| task.parse().unwrap()).collect();
    assert_eq!((tasks.len() as u64, numbers), (count, (0..count).collect()));
}

#[tokio::test]
async fn what_is_pushed_to_a_list_becomes_jobs_in_its_order() {
    let world = World::shared().await.unwrap();
    push(&world, 25).await;
    let _service = serve(&world, &tables(&world)).await;
    let ids = jobs(&world, 3).await;
    taken(&world).await;
    let mut all = Vec::new();
    for id in &ids {
        assert!(world.jobs().await.unwrap()[id].contains(";queue=primes;"));
        all.push(task_texts(&world, id).await);
    }
    // Ids tell the order in which they were made.
    assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 5]);
    assert_eq!(
        all.concat(),
        (0..25).map(|n: u64| n.to_string()).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn entries_of_a_stream_become_tasks_and_what_is_none_stays_pending() {
    let world = World::shared().await.unwrap();
    let mut redis = world.redis().await.unwrap();
    let key = stream(&world);
    let mut add = redis::pipe();
    for n in 0..12 {
        add.cmd("XADD")
            .arg(&key)
            .arg("*")
            .arg("by")
            .arg("me")
            .arg("task")
            .arg(n)
            .ignore();
    }
    add.cmd("XADD")
        .arg(&key)
        .arg("*")
        .arg("anything")
        .arg("12")
        .ignore();
    add.cmd("XADD")
        .arg(&key)
        .arg("*")
        .arg("a")
        .arg("1")
        .arg("b")
        .arg("2")
        .ignore();
    add.cmd("XADD")
        .arg(&key)
        .arg("*")
        .arg("task")
        .arg("x".repeat(21))
        .ignore();
    add.query_async::<()>(&mut redis).await.unwrap();
    let service = serve(&world, &tables(&world)).await;
    jobs(&world, 2).await;
    metric(
        &service,
        "distjob_submitter_answers_total{intake=\"redis\",answer=\"refused\"} 2",
    )
    .await;
    assert_each_once(&world, 13).await;
    let pending: Vec<redis::Value> = redis::cmd("XPENDING")
        .arg(&key)
        .arg("distjob")
        .query_async(&mut redis)
        .await
        .unwrap();
    assert_eq!(pending[0], redis::Value::Int(2));
    let length: u64 = redis::cmd("XLEN")
        .arg(&key)
        .query_async(&mut redis)
        .await
        .unwrap();
    assert_eq!(length, 15);
}

#[tokio::test]
async fn what_is_too_long_for_a_task_is_put_aside() {
    let world = World::shared().await.unwrap();
    let mut redis = world.redis().await.unwrap();
    let long = "x".repeat(21);
    redis
        .rpush::<_, _, ()>(list(&world), &[&long, "0", &long, "1"])
        .await
        .unwrap();
    let _service = serve(&world, &tables(&world)).await;
    jobs(&world, 1).await;
    taken(&world).await;
    assert_each_once(&world, 2).await;
    let refused: Vec<String> = redis
        .lrange(format!("{}:refused", list(&world)), 0, -1)
        .await
        .unwrap();
    assert_eq!(refused, [long.clone(), long]);
}

fn armed(world: &World, point: &str) -> Program {
    program(world, &tables(world)).env("DISTJOB_TEST_POINTS", format!("{point}=kill"))
}

#[tokio::test]
async fn killed_at_any_step_each_task_is_in_one_job_in_the_end() {
    for point in ["taken", "pushed", "created", "opened", "batch-submitted"] {
        let world = World::shared().await.unwrap();
        push(&world, 25).await;
        let doomed = start(&world, armed(&world, point));
        assert_eq!(doomed.wait(SOON).await.unwrap().code(), None, "{point}");
        let _service = serve(&world, &tables(&world)).await;
        jobs(&world, 3).await;
        taken(&world).await;
        assert_each_once(&world, 25).await;
    }
}

#[tokio::test]
async fn two_services_share_a_list() {
    let world = World::shared().await.unwrap();
    let tables = tables(&world);
    let (one, other) = tokio::join!(serve(&world, &tables), serve(&world, &tables));
    push(&world, 500).await;
    taken(&world).await;
    assert_each_once(&world, 500).await;
    let stopped: (Result<(), _>, Result<(), _>) = tokio::join!(one.stop(SOON), other.stop(SOON));
    stopped.0.and(stopped.1).unwrap();
}

#[tokio::test]
async fn a_lost_reply_to_the_taking_loses_and_doubles_nothing() {
    let world = World::shared().await.unwrap();
    let proxy = world.redis_proxy().await.unwrap();
    let script = redis::Script::new(TAKE_LIST);
    let fault = proxy.lose_reply(script.get_hash());
    push(&world, 25).await;
    let service = start(&world, program(&world, &tables(&world)).redis_at(proxy.addr()));
    ready(&service).await;
    fault.fired(SOON).await.unwrap();
    // Whoever comes next finds the batch; here it is the same one, as soon as it has connected again.
    taken(&world).await;
    assert_each_once(&world, 25).await;
}

#[tokio::test]
async fn something_else_under_the_key_is_said_and_waited_out() {
    let world = World::shared().await.unwrap();
    let mut redis = world.redis().await.unwrap();
    redis.set::<_, _, ()>(list(&world), "no list").await.unwrap();
    let service: Process = serve(&world, &tables(&world)).await;
    service.wait_log("WRONGTYPE", SOON).await.unwrap();
    redis.del::<_, ()>(list(&world)).await.unwrap();
    push(&world, 10).await;
    jobs(&world, 1).await;
    assert_each_once(&world, 10).await;
}

#[tokio::test]
async fn a_long_list_does_not_keep_a_stream_waiting() {
    let world = World::shared().await.unwrap();
    push(&world, 500).await;
    let mut redis = world.redis().await.unwrap();
    redis::cmd("XADD")
        .arg(stream(&world))
        .arg(&["*", "task", "500"])
        .query_async::<()>(&mut redis)
        .await
        .unwrap();
    let _service = serve(&world, &tables(&world)).await;
    // Their ids are in the order of the batches, but for those of one millisecond.
    let earlier = jobs(&world, 51).await.into_iter().take(25);
    let mut tasks = Vec::new();
    for id in earlier {
        tasks.extend(task_texts(&world, &id).await);
    }
    assert!(tasks.contains(&"500".to_owned()), "{tasks:?}");
    assert_each_once(&world, 501).await;
}

#[tokio::test]
async fn a_batch_whose_taking_failed_in_the_middle_is_found() {
    let world = World::shared().await.unwrap();
    let mut redis = world.redis().await.unwrap();
    let put_aside = format!("{}:refused", list(&world));
    redis.set::<_, _, ()>(&put_aside, "no list").await.unwrap();
    redis
        .rpush::<_, _, ()>(list(&world), &["0", &"x".repeat(21), "1"])
        .await
        .unwrap();
    let _service = serve(&world, &tables(&world)).await;
    // The first was taken when the second could not be put aside.
    jobs(&world, 1).await;
    assert_each_once(&world, 1).await;
    redis.del::<_, ()>(&put_aside).await.unwrap();
    jobs(&world, 2).await;
    taken(&world).await;
    assert_each_once(&world, 2).await;
}
