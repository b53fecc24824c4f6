//! `queues`, `pause` and `resume`.

use harness::World;
use serde_json::{Value, json};
use zookeeper_client::{Acls, CreateMode};

use crate::{SOON, ctl, found, report, start};

/// The data of a queue's znode, or nothing without one.
async fn data(world: &World, queue: &str) -> Option<Value> {
    let zk = world.zk().await.unwrap();
    let (data, _) = zk.get_data(&world.path(&format!("queues/{queue}"))).await.ok()?;
    serde_json::from_slice(&data).ok()
}

/// Gives a queue a znode with this data.
async fn put(world: &World, queue: &str, data: &str) {
    let persistent = CreateMode::Persistent.with_acls(Acls::anyone_all());
    let zk = world.zk().await.unwrap();
    let path = world.path(&format!("queues/{queue}"));
    zk.create(&path, data.as_bytes(), &persistent).await.unwrap();
}

/// What became of each queue.
async fn outcomes(world: &World, args: &[&str]) -> Vec<String> {
    let (status, report) = report(world, args).await;
    assert_eq!(status, 0, "{report}");
    let queues = report["queues"].as_array().unwrap().iter();
    queues
        .map(|queue| queue["outcome"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn queues_are_paused_and_resumed_whether_somebody_serves_them_or_not() {
    let world = World::shared().await.unwrap();
    found(&world).await;
    assert_eq!(outcomes(&world, &["pause", "a", "b"]).await, ["done", "done"]);
    assert_eq!(outcomes(&world, &["pause", "b", "c"]).await, ["already", "done"]);
    assert_eq!(data(&world, "a").await, Some(json!({"paused": true})));
    assert_eq!(outcomes(&world, &["resume", "a", "d"]).await, ["done", "already"]);
    assert_eq!((data(&world, "a").await, data(&world, "d").await), (None, None));
    let said = start(&world, ctl(&world, &["pause", "nobodys"]))
        .succeeded(SOON)
        .await
        .unwrap();
    assert_eq!(
        said[1],
        "nobodys  paused: running tasks end, no other begins; no executor serves it at present"
    );
}

#[tokio::test]
async fn a_pause_keeps_what_it_does_not_know_and_replaces_what_nobody_understands() {
    let world = World::shared().await.unwrap();
    found(&world).await;
    put(&world, "newer", r#"{"limit":3}"#).await;
    put(&world, "broken", "paused").await;
    let (status, report) = report(&world, &["pause", "newer", "broken"]).await;
    assert_eq!(status, 0);
    assert!(report["queues"][0]["replaced"].is_null());
    let why = report["queues"][1]["replaced"].as_str().unwrap();
    assert!(why.starts_with("is not like {\"paused\": true}"), "{why}");
    assert_eq!(
        data(&world, "newer").await,
        Some(json!({"limit": 3, "paused": true}))
    );
    assert_eq!(data(&world, "broken").await, Some(json!({"paused": true})));
    outcomes(&world, &["resume", "newer", "broken"]).await;
    assert_eq!(
        data(&world, "newer").await,
        Some(json!({"limit": 3, "paused": false}))
    );
    assert_eq!(data(&world, "broken").await, None);
}

#[tokio::test]
async fn a_pause_of_which_the_reply_gets_lost_pauses() {
    let world = World::shared().await.unwrap();
    found(&world).await;
    let proxy = world.zookeeper_proxy().await.unwrap();
    let fault = proxy.lose_reply("\"paused\":true");
    let pause = ctl(&world, &["pause", "a"]).arg("--json");
    let process = start(&world, pause.zookeeper_at(proxy.addr()));
    let said = process.succeeded(SOON).await.unwrap().join("\n");
    assert_eq!(fault.fires(), 1);
    let report: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(report["queues"][0]["paused"], true);
    assert_eq!(data(&world, "a").await, Some(json!({"paused": true})));
}

#[tokio::test]
async fn queues_are_listed_with_their_jobs_and_who_serves_them() {
    let world = World::shared().await.unwrap();
    found(&world).await;
    let zk = world.zk().await.unwrap();
    let ephemeral = CreateMode::Ephemeral.with_acls(Acls::anyone_all());
    let about =
        json!({"host": "alpha", "pid": 42, "version": "0.1.0", "queues": ["primes"], "slots": 2, "since": 0});
    let path = world.path("executors/e-1");
    zk.create(&path, about.to_string().as_bytes(), &ephemeral)
        .await
        .unwrap();
    for (id, data) in [
        ("a", "subm=5;queue=primes"),
        ("b", "prcd=3;queue=primes"),
        ("c", "subm=7"),
    ] {
        world.create_job(id, data).await.unwrap();
    }
    outcomes(&world, &["pause", "primes"]).await;
    let expected = json!([
        {
            "name": "default", "paused": false, "executors": 0, "slots": 0, "jobs": {"subm": 1}, "tasks": 7, "waiting": 7
        },
        {
            "name": "primes", "paused": true, "executors": 1, "slots": 2, "jobs": {"prcd": 1, "subm": 1}, "tasks": 5,
            "waiting": 5
        }
    ]);
    for command in ["queues", "status"] {
        let (status, report) = report(&world, &[command]).await;
        assert_eq!((status, &report["queues"]), (0, &expected), "{command}");
    }
}
