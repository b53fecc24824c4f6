//! Queues that an operator pauses.

use std::time::Duration;

use harness::{World, eventually};

use crate::SOON;
use crate::crew::{PERSISTENT, calm_world, start_watcher};
use crate::site::{begun, count, has_begun, naps, queue_metric, start, submit};

async fn switch(world: &World, queue: &str, data: &str) {
    let zk = world.zk().await.unwrap();
    let path = world.path(&format!("queues/{queue}"));
    zk.mkdir(&world.path("queues"), &PERSISTENT).await.unwrap();
    let _ = zk.delete(&path, None).await;
    zk.create(&path, data.as_bytes(), &PERSISTENT).await.unwrap();
}

#[tokio::test]
async fn a_paused_queue_begins_nothing_until_it_is_resumed_and_others_go_on() {
    let world = calm_world().await;
    let _watcher = start_watcher(&world, "w").await;
    let toml = "[executor]\nqueues = [\"a\", \"b\"]\nslots = 2\n";
    let e = start(&world, "e", toml).await;
    // Ten seconds of work, so that it is paused in the midst.
    let a = submit(&world, "a", &naps("a", 200, Duration::from_millis(100))).await;
    has_begun(&world, "e", "a", 10).await;
    switch(&world, "a", r#"{"paused":true}"#).await;
    eventually("nothing of it is in hand", SOON, async || {
        let running = queue_metric(&e, "running", "a").await;
        anyhow::ensure!(running == 0, "{running} run");
        let leases = crate::crew::metric(&e, "distjob_leases").await;
        anyhow::ensure!(leases == 0, "{leases} are leased");
        let paused = queue_metric(&e, "paused", "a").await;
        anyhow::ensure!(paused == 1, "it does not say so");
        Ok(())
    })
    .await;
    let before = count(&begun(&world, "e"), "a");
    let b = submit(&world, "b", &naps("b", 40, Duration::from_millis(10))).await;
    eventually("the other queue's job is delivered", SOON, async || {
        anyhow::ensure!(world.delivered("b", &b)?.is_some(), "not yet");
        Ok(())
    })
    .await;
    assert_eq!(count(&begun(&world, "e"), "a"), before);
    // Whoever starts meanwhile knows it from the beginning.
    let e2 = start(&world, "e2", toml).await;
    let b = submit(&world, "b", &naps("b", 40, Duration::from_millis(10))).await;
    eventually("both executors serve the other queue", SOON, async || {
        anyhow::ensure!(world.delivered("b", &b)?.is_some(), "not yet");
        Ok(())
    })
    .await;
    assert_eq!(
        (
            count(&begun(&world, "e2"), "a"),
            queue_metric(&e2, "paused", "a").await
        ),
        (0, 1)
    );
    assert!(before < 200, "it was paused in the middle");

    switch(&world, "a", r#"{"paused":false}"#).await;
    world.drained(SOON).await.unwrap();
    let delivered = world.delivered("a", &a).unwrap().unwrap();
    assert_eq!(delivered.len(), 200);
    let executions = count(&begun(&world, "e"), "a") + count(&begun(&world, "e2"), "a");
    assert_eq!(executions, 200, "none ran twice");
}
