//! How many tasks of a queue run at once, and how many begin in a time.

use std::time::{Duration, Instant};

use harness::eventually;

use crate::SOON;
use crate::crew::{calm_world, start_watcher};
use crate::site::{begun, naps, queue_metric, start, submit};

#[tokio::test]
async fn a_queue_with_a_concurrency_of_one_never_runs_two_tasks_at_once() {
    let world = calm_world().await;
    let _watcher = start_watcher(&world, "w").await;
    let toml =
        "[executor]\nqueues = [\"single\", \"other\"]\nslots = 4\n\n[queues.single]\nconcurrency = 1\n";
    let e = start(&world, "e", toml).await;
    let (began, mut most, mut others) = (Instant::now(), 0, 0);
    submit(&world, "single", &naps("single", 20, Duration::from_millis(50))).await;
    submit(&world, "other", &naps("other", 60, Duration::from_millis(50))).await;
    eventually("all jobs are delivered", SOON, async || {
        most = most.max(queue_metric(&e, "running", "single").await);
        others = others.max(queue_metric(&e, "running", "other").await);
        anyhow::ensure!(world.jobs().await?.is_empty(), "not yet");
        Ok(())
    })
    .await;
    assert!(
        began.elapsed() >= Duration::from_millis(20 * 50),
        "one after the other"
    );
    assert!(most <= 1 && others > 1, "at most {most}, beside {others} others");
    let member = world.member_of(&e).await.unwrap().unwrap();
    assert_eq!(member.about["limits"]["single"], 1);
    world.drained(SOON).await.unwrap();
}

#[tokio::test]
async fn a_rate_holds_over_all_executors_and_retries() {
    let world = calm_world().await;
    let _watcher = start_watcher(&world, "w").await;
    let toml = "[executor]\nqueues = [\"slow\"]\nslots = 2\n\n\
                [queues.slow]\nrate = \"20/s\"\nburst = 5\nattempts = 2\nretry_initial = \"1ms\"\n";
    let (_e1, _e2) = tokio::join!(start(&world, "e1", toml), start(&world, "e2", toml));
    let tasks: Vec<String> = (0..20).map(|task| format!("flaky 9 slow-{task}")).collect();
    let began = Instant::now();
    let id = submit(&world, "slow", &tasks).await;
    world.drained(SOON).await.unwrap();
    let attempts = begun(&world, "e1").len() + begun(&world, "e2").len();
    assert_eq!(attempts, 40, "each task fails twice");
    // Whatever was free at the beginning, the others came one by one.
    let least = Duration::from_millis((40 - 5) * 50);
    assert!(began.elapsed() >= least, "{attempts} in {:?}", began.elapsed());
    let delivered = world.delivered("slow", &id).unwrap().unwrap();
    assert!(
        delivered.iter().all(|line| line.outcome.is_err()),
        "{delivered:?}"
    );
}

#[tokio::test]
async fn tasks_that_wait_for_another_attempt_hold_up_neither_slots_nor_their_job() {
    let world = calm_world().await;
    let _watcher = start_watcher(&world, "w").await;
    let toml = "[executor]\nqueues = [\"q\"]\nslots = 1\n\n\
                [queues.q]\nattempts = 2\nretry_initial = \"1h\"\nretry_max = \"1h\"\n";
    let e = start(&world, "e", toml).await;
    let mut tasks: Vec<String> = (0..10).map(|task| format!("flaky 9 q-{task}")).collect();
    tasks.extend(naps("ok", 100, Duration::from_millis(1)));
    submit(&world, "q", &tasks).await;
    eventually("the others are done", SOON, async || {
        let recorded = e.recorded().await;
        anyhow::ensure!(recorded == 100, "{recorded} are");
        let waiting = queue_metric(&e, "waiting", "q").await;
        anyhow::ensure!(waiting == 10, "{waiting} wait");
        Ok(())
    })
    .await;
    let ok = submit(&world, "q", &naps("more", 20, Duration::from_millis(1))).await;
    eventually("another job is delivered", SOON, async || {
        anyhow::ensure!(world.delivered("q", &ok)?.is_some(), "not yet");
        Ok(())
    })
    .await;
    // What waits is given back at once: nothing runs.
    let leaves = Instant::now();
    e.stop(SOON).await.unwrap();
    assert!(
        leaves.elapsed() < Duration::from_secs(10),
        "{:?}",
        leaves.elapsed()
    );
}
