//! Znodes of other programs among the jobs: reported once, skipped, and no harm to anybody.

use anyhow::ensure;
use harness::{Process, World, eventually};
use redis::AsyncCommands as _;
use zookeeper_client::Client;

use crate::SOON;
use crate::crew::{Executor, PERSISTENT, calm_world, metric_becomes, start_watcher, verdict};

/// Names that no job has.
const NAMES: [&str; 5] = ["a b", "with.dots", "naïve", "comma,", "braces{}"];

/// Data that no job has; the names are those of jobs.
fn data() -> Vec<(&'static str, Vec<u8>)> {
    let mut data = vec![
        ("empty", Vec::new()),
        ("binary", vec![0, 159, 146, 150, 255]),
        ("json", br#"{"state":"subm","count":5}"#.to_vec()),
        ("no-count", b"subm".to_vec()),
        ("negative", b"subm=-1".to_vec()),
        ("huge", b"subm=99999999999999999999".to_vec()),
        ("no-state", b"done=1".to_vec()),
        ("shouted", b"SUBM=1".to_vec()),
        ("bad-queue", b"subm=1;queue=a b".to_vec()),
        ("half-part", b"subm=1;queue".to_vec()),
        ("two-lines", b"subm=1\n".to_vec()),
        ("two-queues", b"subm=1;queue=a;queue=b".to_vec()),
    ];
    // A little below the most that a server takes.
    data.push(("megabyte", vec![b'x'; 1_000_000]));
    data
}

fn path(world: &World, stem: &str, name: &str) -> String {
    world.path(&format!("jobs/{stem}{name}"))
}

async fn intrude(world: &World, zk: &Client, stem: &str) {
    let long = "x".repeat(65);
    let names = NAMES.into_iter().chain([&*long]);
    let named = names.map(|name| (name, b"subm=1".to_vec()));
    for (name, data) in named.chain(data()) {
        zk.create(&path(world, stem, name), &data, &PERSISTENT)
            .await
            .unwrap();
    }
    let below = path(world, stem, "empty") + "/child";
    zk.create(&below, b"subm=1", &PERSISTENT).await.unwrap();
}

/// Returns when `daemon` has reported each stranger; it must not have done so more than once.
async fn reported(daemon: &Process, stem: &str) {
    let names = NAMES.iter().map(|name| format!("{stem}{name}"));
    let names: Vec<String> = names
        .chain(data().iter().map(|(name, _)| format!("{stem}{name}")))
        .collect();
    eventually("the strangers are reported", SOON, async || {
        for name in &names {
            // In a log line a name stands in quotes or before a space.
            let lines = daemon.stderr().lines();
            let about = lines.iter().filter(|line| {
                line.contains("skipping a znode among the jobs")
                    && (line.contains(&format!("={name} ")) || line.contains(&format!("{name:?}")))
            });
            let count = about.count();
            assert!(count < 2, "{name:?} was reported {count} times");
            ensure!(count == 1, "{} says nothing of {name:?}", daemon.name());
        }
        Ok(())
    })
    .await;
}

async fn is_done(world: &World, stem: &str) {
    let id = world.job_id(stem);
    world.plain_submit(&id, &["17", "18"]).await.unwrap();
    eventually("a job among strangers is delivered", SOON, async || {
        world.delivered_whole("default", &id, &["17", "18"])
    })
    .await;
}

#[tokio::test]
async fn strangers_among_the_jobs_are_reported_and_skipped_and_jobs_go_on() {
    let world = calm_world().await;
    let (watcher, executor) = (
        start_watcher(&world, "w1").await,
        Executor::start(&world, "e1").await,
    );
    let zk = world.zk().await.unwrap();
    // Some that come while daemons look ...
    intrude(&world, &zk, "early-").await;
    reported(&watcher, "early-").await;
    reported(&executor, "early-").await;
    is_done(&world, "first").await;
    // ... and some that are there when daemons come.
    let (late_watcher, late_executor) = (
        start_watcher(&world, "w2").await,
        Executor::start(&world, "e2").await,
    );
    reported(&late_watcher, "early-").await;
    reported(&late_executor, "early-").await;
    is_done(&world, "second").await;

    for daemon in [&watcher, &late_watcher, &executor, &late_executor] {
        assert_eq!(daemon.admin_get("/readyz").await.unwrap().status, 200);
        daemon.stop(SOON).await.unwrap();
    }
    // Nobody touched them.
    for (name, data) in data() {
        let (found, stat) = zk.get_data(&path(&world, "early-", name)).await.unwrap();
        assert_eq!((found, stat.version), (data, 0), "{name}");
    }
}

#[tokio::test]
async fn a_stranger_that_becomes_a_job_is_one_and_words_of_newer_programs_stay() {
    let world = calm_world().await;
    let (watcher, executor) = (
        start_watcher(&world, "w").await,
        Executor::start(&world, "e").await,
    );
    let id = world.job_id("becoming");
    world.create_job(&id, "drafting").await.unwrap();
    executor.wait_log("skipping a znode", SOON).await.unwrap();
    watcher.wait_log("skipping a znode", SOON).await.unwrap();

    let mut redis = world.redis().await.unwrap();
    redis.rpush::<_, _, ()>(&id, "17").await.unwrap();
    let (zk, path) = (world.zk().await.unwrap(), world.path(&format!("jobs/{id}")));
    zk.set_data(&path, b"subm=1;queue=primes;colour=red", None)
        .await
        .unwrap();
    world.drained(SOON).await.unwrap();
    let lines = world.delivered_whole("primes", &id, &["17"]).unwrap();
    assert_eq!(lines[0].outcome, verdict(17));
}

#[tokio::test]
async fn a_job_with_a_strangers_znode_below_it_is_delivered_and_goes_when_that_is_gone() {
    let world = calm_world().await;
    let watcher = start_watcher(&world, "w").await;
    let _executor = Executor::start(&world, "e").await;
    let (zk, id) = (world.zk().await.unwrap(), world.job_id("parent"));
    world.create_job(&id, "drafting").await.unwrap();
    let path = world.path(&format!("jobs/{id}"));
    let child = format!("{path}/child");
    zk.create(&child, b"", &PERSISTENT).await.unwrap();
    let mut redis = world.redis().await.unwrap();
    redis.rpush::<_, _, ()>(&id, "17").await.unwrap();
    zk.set_data(&path, b"subm=1", None).await.unwrap();

    // It cannot be deleted, and whoever looks for the reason finds it.
    let complaint = format!("ERROR*the znode has children*{id}");
    watcher.wait_log(&complaint, SOON).await.unwrap();
    world.delivered_whole("default", &id, &["17"]).unwrap();
    assert_eq!(
        world.jobs().await.unwrap()[&id],
        "uploaded=1;failed=0;conclusion=succeeded"
    );
    is_done(&world, "other").await;

    zk.delete(&child, None).await.unwrap();
    world.drained(SOON).await.unwrap();
    metric_becomes(&watcher, "distjob_jobs_delivered_total", 2).await;
}
