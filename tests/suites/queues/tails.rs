//! The end of a job, and of an executor: nobody waits for what another one holds and has not begun.

use std::time::Duration;

use harness::eventually;

use crate::SOON;
use crate::crew::{calm_world, start_watcher};
use crate::site::{begun, count, has_begun, naps, start, submit};

#[tokio::test]
async fn long_tasks_keep_all_executors_busy_to_the_end_of_their_job() {
    let world = calm_world().await;
    let _watcher = start_watcher(&world, "w").await;
    let toml = "[executor]\nqueues = [\"q\"]\nslots = 2\n";
    let (_e1, _e2) = tokio::join!(start(&world, "e1", toml), start(&world, "e2", toml));
    submit(&world, "q", &naps("q", 32, Duration::from_secs(1))).await;
    world.drained(SOON).await.unwrap();
    let (by_e1, by_e2) = (begun(&world, "e1").len(), begun(&world, "e2").len());
    assert_eq!(by_e1 + by_e2, 32, "none ran twice");
    // Each has its half, but for one task a slot: on a busy machine, too, nobody pauses for as long as two tasks take.
    assert!(by_e1.abs_diff(by_e2) <= 4, "{by_e1} and {by_e2}");
}

#[tokio::test]
async fn short_tasks_behind_an_unexpectedly_long_one_are_run_elsewhere() {
    let world = calm_world().await;
    let _watcher = start_watcher(&world, "w").await;
    let toml = "[executor]\nqueues = [\"q\"]\nslots = 1\ngrace_period = \"1h\"\n";
    let e1 = start(&world, "e1", toml).await;
    let mut tasks = naps("long", 1, Duration::from_secs(600));
    tasks.extend(naps("short", 15, Duration::from_millis(1)));
    submit(&world, "q", &tasks).await;
    has_begun(&world, "e1", "long", 1).await;
    let _e2 = start(&world, "e2", toml).await;
    has_begun(&world, "e2", "short", 15).await;
    assert_eq!(count(&begun(&world, "e1"), "short"), 0);
    e1.kill().await.unwrap();
}

#[tokio::test]
async fn who_leaves_gives_back_at_once_what_has_not_begun_while_a_long_task_ends() {
    let world = calm_world().await;
    let _watcher = start_watcher(&world, "w").await;
    // It would not give anything back by itself.
    let toml = "[executor]\nqueues = [\"q\"]\nslots = 1\ngrace_period = \"1h\"\nclaim_target = \"10m\"\n";
    let e1 = start(&world, "e1", toml).await;
    let mut tasks = naps("long", 1, Duration::from_secs(600));
    tasks.extend(naps("short", 39, Duration::from_millis(1)));
    submit(&world, "q", &tasks).await;
    has_begun(&world, "e1", "long", 1).await;
    let e2 = start(&world, "e2", toml).await;
    has_begun(&world, "e2", "short", 1).await;
    eventually("the rest is in the other's hands", SOON, async || {
        let jobs = crate::crew::metric(&e2, "distjob_slots_busy").await;
        anyhow::ensure!(jobs == 0, "it works");
        Ok(())
    })
    .await;
    let before = count(&begun(&world, "e2"), "short");
    assert!(before < 39, "something is left in the first one's hands");

    e1.terminate().unwrap();
    has_begun(&world, "e2", "short", 39).await;
    assert_eq!(e1.exit_status(), None, "its long task still runs");
    e1.kill().await.unwrap();
}
