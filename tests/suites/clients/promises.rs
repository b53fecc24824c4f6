//! What the clients promise while nothing is wrong.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use harness::Program;
use redis::AsyncCommands as _;

use crate::SOON;
use crate::caller::{Client, calm_world, crew, found, input, is_whole, start};

const BOTH: [Client; 2] = [Client::Python, Client::Shell];

#[tokio::test]
async fn a_client_submits_and_waits() {
    let world = calm_world().await;
    let _crew = crew(&world).await;
    for client in BOTH {
        let (id, input) = (world.job_id("whole"), input(&world, 2_500));
        assert_eq!(client.submitted(&world, &id, &input).await, [&*id]);
        assert_eq!(client.waited(&world, &id).await, ["succeeded"]);
        is_whole(&world, &id, 2_500);
    }
    world.drained(SOON).await.unwrap();
}

#[tokio::test]
async fn an_empty_input_is_a_job_too() {
    let world = calm_world().await;
    let _crew = crew(&world).await;
    for client in BOTH {
        let (id, input) = (world.job_id("empty"), input(&world, 0));
        assert_eq!(client.submitted(&world, &id, &input).await, [&*id]);
        assert_eq!(client.waited(&world, &id).await, ["succeeded"]);
        is_whole(&world, &id, 0);
    }
}

#[tokio::test]
async fn submitting_again_under_an_id_changes_nothing_before_the_job_is_done_and_after() {
    let world = calm_world().await;
    found(&world).await;
    for client in BOTH {
        let (id, first, second) = (world.job_id("again"), input(&world, 300), input(&world, 200));
        assert_eq!(client.submitted(&world, &id, &first).await, [&*id]);
        let data = world.jobs().await.unwrap();
        assert!(client.submitted(&world, &id, &second).await.is_empty());
        assert_eq!(world.jobs().await.unwrap(), data);
        let crew = crew(&world).await;
        assert_eq!(client.waited(&world, &id).await, ["succeeded"]);
        assert!(client.submitted(&world, &id, &second).await.is_empty());
        is_whole(&world, &id, 300);
        drop(crew);
        assert!(world.jobs().await.unwrap().is_empty());
    }
    // The tasks of the second attempts are gone, too.
    world.drained(SOON).await.unwrap();
}

#[tokio::test]
async fn a_job_whose_submitter_died_before_it_was_open_is_opened_by_who_submits_it_again() {
    let world = calm_world().await;
    found(&world).await;
    let (id, input) = (world.job_id("orphan"), input(&world, 200));
    let key = |name: &str| format!("{}{{{id}}}:{name}", world.prefix());
    let mut redis = world.redis().await.unwrap();
    redis
        .rpush::<_, _, ()>(key("in:theirs"), &["1", "2", "3"])
        .await
        .unwrap();
    redis.expire::<_, ()>(key("in:theirs"), 60).await.unwrap();
    world.create_job(&id, "subm=3;from=theirs").await.unwrap();
    assert!(Client::Python.submitted(&world, &id, &input).await.is_empty());
    let source: String = redis.hget(key("meta"), "source").await.unwrap();
    let (tasks, ttl): (Vec<String>, i64) = (
        redis.lrange(key("tasks"), 0, -1).await.unwrap(),
        redis.ttl(key("tasks")).await.unwrap(),
    );
    assert_eq!(
        (&*source, tasks, ttl),
        ("theirs", vec!["1".into(), "2".into(), "3".into()], -1)
    );
    let _crew = crew(&world).await;
    assert_eq!(Client::Python.waited(&world, &id).await, ["succeeded"]);
}

#[tokio::test]
async fn of_many_that_submit_under_one_id_at_once_one_makes_the_job() {
    let world = calm_world().await;
    found(&world).await;
    let (id, input) = (world.job_id("race"), input(&world, 3_000));
    let racers = [Client::Python, Client::Python, Client::Shell, Client::Python];
    let racers = racers.map(|client| client.start_to_submit(&world, &id, &input));
    let mut told = Vec::new();
    for racer in &racers {
        told.extend(racer.succeeded(SOON).await.unwrap());
    }
    assert_eq!(told, [&*id]);
    let _crew = crew(&world).await;
    assert_eq!(Client::Python.waited(&world, &id).await, ["succeeded"]);
    is_whole(&world, &id, 3_000);
    world.drained(SOON).await.unwrap();
}

#[tokio::test]
async fn what_python_opens_is_what_the_submitter_opens() {
    let world = calm_world().await;
    found(&world).await;
    let input = input(&world, 1_200);
    let (ours, theirs) = (world.job_id("ours"), world.job_id("theirs"));
    let args = ["--queue", "primes", "--id", &ours, input.to_str().unwrap()];
    world.submit(&args, SOON).await.unwrap();
    Client::Python.submitted(&world, &theirs, &input).await;
    let mut redis = world.redis().await.unwrap();
    let mut seen = Vec::new();
    for id in [&ours, &theirs] {
        let key = |name| format!("{}{{{id}}}:{name}", world.prefix());
        let mut meta: BTreeMap<String, String> = redis.hgetall(key("meta")).await.unwrap();
        let (life, source) = (meta.remove("J").unwrap(), meta.remove("source").unwrap());
        assert_eq!(life.len(), 16, "{life}");
        let data = &world.jobs().await.unwrap()[id];
        assert!(data.ends_with(&format!(";from={source}")), "{data}");
        let tasks: Vec<String> = redis.lrange(key("tasks"), 0, -1).await.unwrap();
        let times: [i64; 2] = [
            redis.ttl(key("meta")).await.unwrap(),
            redis.ttl(key("tasks")).await.unwrap(),
        ];
        seen.push((meta, tasks, times, data.replace(&source, "<token>")));
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0].1.len(), 1_200);
    assert_eq!(seen[0].2, [-1, -1], "they do not expire");
}

#[tokio::test]
async fn a_store_of_another_ledger_is_refused() {
    let (world, other) = (calm_world().await, calm_world().await);
    found(&world).await;
    let (id, input) = (world.job_id("astray"), input(&world, 10));
    for client in BOTH {
        let program = client.program(&world).env("PREFIX", other.prefix());
        let submit = start(&world, client.submit(program, &id, &input));
        let status = submit.wait(SOON).await.unwrap();
        assert_eq!(status.code(), Some(1), "{}", submit.stderr().tail(9));
    }
    assert!(world.jobs().await.unwrap().is_empty());
    assert!(other.keys().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_lines_of_the_readme_submit_and_wait() {
    let world = calm_world().await;
    let _crew = crew(&world).await;
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let readme = fs::read_to_string(project.join("README.md")).unwrap();
    let mut blocks = readme
        .split("```python\n")
        .filter_map(|rest| Some(rest.split_once("```")?.0));
    let block = blocks.find(|block| block.starts_with("with Client(")).unwrap();
    let ours = format!(
        "Client({:?}, {:?}, root={:?}, prefix={:?})",
        world.zookeeper_addr(),
        world.redis_url(),
        world.root(),
        world.prefix()
    );
    let theirs = r#"Client("127.0.0.1:2181", "redis://127.0.0.1:6379/0")"#;
    assert!(block.contains(theirs), "{block}");
    let block = format!(
        "from distjob_client import Client\n{}",
        block.replace(theirs, &ours)
    );
    let python = Program::at("/usr/bin/python3").args(["-B", "-c", &block]);
    let python = start(
        &world,
        python.env("PYTHONPATH", project.join("deploy/examples/clients")),
    );
    assert_eq!(python.succeeded(SOON).await.unwrap(), ["succeeded"]);
}
