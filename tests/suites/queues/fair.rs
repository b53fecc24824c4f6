//! Who gets the slots when several queues, or several jobs of one, have work.

use std::time::{Duration, Instant};

use harness::eventually;

use crate::SOON;
use crate::crew::{Executor, calm_world, drill, start_watcher};
use crate::site::{begun, count, has_begun, naps, start, submit};

const NAP: Duration = Duration::from_millis(20);

#[tokio::test]
async fn slots_are_shared_by_weight_while_both_queues_have_work() {
    let world = calm_world().await;
    let _watcher = start_watcher(&world, "w").await;
    for queue in ["heavy", "light"] {
        submit(&world, queue, &naps(queue, 300, NAP)).await;
    }
    let toml = "[executor]\nqueues = [\"heavy\", \"light\"]\nslots = 2\nclaim_target = \"50ms\"\n\n\
                [queues.heavy]\nweight = 3\n";
    let _e = start(&world, "e", toml).await;
    has_begun(&world, "e", "heavy", 300).await;
    // While both had work; the first claims are made before anything is known of the tasks.
    let begun = begun(&world, "e");
    let last = begun.iter().rposition(|task| task.contains(" heavy-")).unwrap();
    let light = count(&begun[..last], "light");
    assert!(
        (70..=130).contains(&light),
        "{light} light tasks beside 300 heavy ones"
    );
    world.drained(SOON).await.unwrap();
}

/// Leases of short tasks are claimed ahead of free slots, those of long ones are not.
#[tokio::test]
async fn a_queue_of_long_tasks_has_its_share_beside_one_of_short_tasks() {
    const SHORT: usize = 3000;
    let world = calm_world().await;
    let _watcher = start_watcher(&world, "w").await;
    submit(&world, "long", &naps("long", 30, Duration::from_millis(60))).await;
    submit(&world, "short", &naps("short", SHORT, Duration::from_millis(1))).await;
    let toml = "[executor]\nqueues = [\"long\", \"short\"]\nslots = 2\nclaim_target = \"50ms\"\n\n\
                [queues.long]\nweight = 3\n";
    let _e = start(&world, "e", toml).await;
    has_begun(&world, "e", "long", 30).await;
    let begun = begun(&world, "e");
    let last = begun.iter().rposition(|task| task.contains(" long-")).unwrap();
    let short = count(&begun[..last], "short");
    // A third of the time of the long ones is about a fifth of all the short ones.
    assert!(short < SHORT / 2, "{short} short tasks before the last long one");
    world.drained(SOON).await.unwrap();
}

#[tokio::test]
async fn a_queue_of_higher_priority_goes_first() {
    let world = calm_world().await;
    let _watcher = start_watcher(&world, "w").await;
    let toml = "[executor]\nqueues = [\"calm\", \"urgent\"]\nslots = 2\nclaim_max_tasks = 1\n\n\
                [queues.urgent]\npriority = 10\n";
    submit(&world, "calm", &naps("calm", 100, NAP)).await;
    let _e = start(&world, "e", toml).await;
    has_begun(&world, "e", "calm", 5).await;
    let before = begun(&world, "e").len();
    submit(&world, "urgent", &naps("urgent", 40, NAP)).await;
    has_begun(&world, "e", "urgent", 40).await;
    let begun = begun(&world, "e");
    let (first, last) = (
        begun.iter().position(|task| task.contains(" urgent-")).unwrap(),
        begun.iter().rposition(|task| task.contains(" urgent-")).unwrap(),
    );
    let between = count(&begun[first..last], "calm");
    // At most what was claimed already, and one visit to each job that was under way.
    assert!(
        between <= 6 && first >= before.min(5),
        "{between} calm tasks began among the urgent ones"
    );
    world.drained(SOON).await.unwrap();
}

/// A job of a hundred tasks of a millisecond: what it takes alone, and beside a job of a million such, which would take
/// minutes.
#[tokio::test]
async fn a_small_job_is_soon_done_beside_a_huge_one_of_its_queue() {
    let world = calm_world().await;
    let _watcher = start_watcher(&world, "w").await;
    let toml = "[executor]\nqueues = [\"mixed\"]\nslots = 2\n";
    let (_e1, _e2) = tokio::join!(start(&world, "e1", toml), start(&world, "e2", toml));
    let small: Vec<String> = naps("small", 100, Duration::from_millis(1));
    let all_begun = async |name: &str| {
        let tasks = || [begun(&world, "e1"), begun(&world, "e2")].concat();
        eventually("the small job is run", SOON, async || {
            let begun = count(&tasks(), name);
            anyhow::ensure!(begun == 100, "{begun} of its tasks began");
            Ok(())
        })
        .await;
    };

    let began = Instant::now();
    submit(&world, "mixed", &small).await;
    all_begun("small").await;
    let alone = began.elapsed();

    let huge = naps("huge", 1_000_000, Duration::from_millis(1));
    let huge_id = submit(&world, "mixed", &huge).await;
    // Both are at work on it, and know how long its tasks take.
    for executor in ["e1", "e2"] {
        has_begun(&world, executor, "huge", 500).await;
    }
    let second: Vec<String> = naps("second", 100, Duration::from_millis(1));
    let before = begun(&world, "e1").len() + begun(&world, "e2").len();
    let began = Instant::now();
    submit(&world, "mixed", &second).await;
    all_begun("second").await;
    let beside = began.elapsed();
    let meanwhile = begun(&world, "e1").len() + begun(&world, "e2").len() - before;
    println!(
        "100 tasks: {alone:?} alone, {beside:?} beside a million, {meanwhile} tasks of which ran meanwhile"
    );
    assert!(
        world.jobs().await.unwrap().contains_key(&huge_id),
        "the huge job went first"
    );
}

#[tokio::test]
async fn tasks_that_fail_again_and_again_do_not_keep_the_slots_from_other_queues() {
    let world = calm_world().await;
    let _watcher = start_watcher(&world, "w").await;
    let toml = "[executor]\nqueues = [\"failing\", \"good\"]\nslots = 1\n\n\
                [queues.failing]\nattempts = 1000000\nretry_initial = \"1ms\"\nretry_max = \"1ms\"\n";
    // Some of the failing ones are due at any moment.
    let program = drill(&world, toml).env("DISTJOB_TEST_TASK_DELAY_US", "5000");
    let _e = Executor::start_as(&world, "e", program).await;
    let failing: Vec<String> = (0..50)
        .map(|task| format!("flaky 1000000 failing-{task}"))
        .collect();
    submit(&world, "failing", &failing).await;
    has_begun(&world, "e", "failing", 200).await;
    let good = submit(&world, "good", &naps("good", 50, Duration::ZERO)).await;
    eventually("the good job is delivered", SOON, async || {
        anyhow::ensure!(world.delivered("good", &good)?.is_some(), "not yet");
        Ok(())
    })
    .await;
}
