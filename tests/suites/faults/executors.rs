//! Executors that die, freeze and leave.

use std::fs;
use std::time::Duration;

use futures::future::join_all;
use harness::{Process, World, eventually};

use crate::load::{
    Job, SOON, all_right, executor, fleet, gone, holds_a_lease, in_full_swing, metric, renamed, submitted,
    watcher,
};

#[tokio::test]
async fn what_a_killed_executor_held_runs_elsewhere() {
    let world = World::private().await.unwrap();
    let fleet = fleet(&world, 3, 1).await;
    let jobs = submitted(&world, 6, 500).await;
    in_full_swing(&world, &jobs).await;
    let victim = world.member_of(&fleet[0]).await.unwrap().unwrap();
    holds_a_lease(&world, &victim.name).await;
    fleet[0].kill().await.unwrap();
    all_right(&world, &jobs).await;
}

#[tokio::test]
async fn what_all_executors_held_when_they_were_killed_runs_when_one_comes_back() {
    let world = World::private().await.unwrap();
    let first = fleet(&world, 3, 1).await;
    // Seconds of work, so that there is some left when the last of them is killed.
    let jobs = submitted(&world, 6, 1200).await;
    in_full_swing(&world, &jobs).await;
    for executor in &first[..3] {
        executor.kill().await.unwrap();
    }
    let next = world
        .start_member(executor(&world, ""), "executor-next")
        .await
        .unwrap();
    all_right(&world, &jobs).await;
    assert!(metric(&next, "distjob_ranges_reclaimed_total").await > 0);
}

#[tokio::test]
async fn a_paused_executor_cannot_commit_after_its_ranges_were_given_away() {
    let mut world = World::private().await.unwrap();
    let proxy = world.zookeeper_proxy().await.unwrap();
    // By its own clock its session lasts: only the store can tell it that its ranges are somebody else's.
    world.set_session_timeout(Duration::from_secs(60));
    let frozen = executor(&world, "").zookeeper_at(proxy.addr());
    let frozen = world.start_member(frozen, "executor-frozen").await.unwrap();
    let before = world.member_of(&frozen).await.unwrap().unwrap();
    let jobs = [Job::of(&world, "slow", vec!["sleep 50"; 150])];
    jobs[0].submit_plainly(&world).await;
    holds_a_lease(&world, &before.name).await;
    frozen.pause().unwrap();
    world.expire(before.session).await.unwrap();
    let other = world
        .start_member(executor(&world, ""), "executor-other")
        .await
        .unwrap();
    other
        .wait_log("freed the ranges of a dead executor", SOON)
        .await
        .unwrap();
    proxy.refuse().await;
    proxy.cut();
    frozen.resume().unwrap();
    frozen.wait_log("a commit was refused", SOON).await.unwrap();
    assert!(metric(&frozen, "distjob_commits_refused_total").await > 0);
    proxy.accept().await.unwrap();
    renamed(&world, &frozen, &before.name).await;

    let _watcher = world.start_member(watcher(&world, ""), "watcher").await.unwrap();
    all_right(&world, &jobs).await;
    // Who sees that a job is complete may do so before the one that committed last counts it.
    eventually("each outcome took effect once", SOON, async || {
        let recorded = recorded(&[&frozen, &other]).await;
        anyhow::ensure!(recorded == 150, "{recorded}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn an_executor_that_has_not_heard_of_its_death_makes_no_task_look_deadly() {
    let mut world = World::private().await.unwrap();
    let proxy = world.zookeeper_proxy().await.unwrap();
    world.set_session_timeout(Duration::from_secs(20));
    let unaware = executor(&world, "").zookeeper_at(proxy.addr());
    let unaware = world.start_member(unaware, "executor-unaware").await.unwrap();
    let _other = world
        .start_member(executor(&world, ""), "executor-other")
        .await
        .unwrap();
    let _watcher = world.start_member(watcher(&world, ""), "watcher").await.unwrap();
    let before = world.member_of(&unaware).await.unwrap().unwrap();
    let jobs = submitted(&world, 6, 400).await;
    in_full_swing(&world, &jobs).await;
    // Nothing comes from ZooKeeper any more: it goes on claiming, and is found dead each time.
    proxy.hold_all();
    world.expire(before.session).await.unwrap();
    all_right(&world, &jobs).await;
    proxy.pass();
    proxy.cut();
    renamed(&world, &unaware, &before.name).await;
}

#[tokio::test]
async fn executors_frozen_beyond_their_sessions_under_load_come_back_and_do_no_harm() {
    let world = World::private().await.unwrap();
    let fleet = fleet(&world, 3, 1).await;
    let jobs = submitted(&world, 6, 1_000).await;
    in_full_swing(&world, &jobs).await;
    let mut before = Vec::new();
    for frozen in &fleet[..2] {
        before.push(world.member_of(frozen).await.unwrap().unwrap().name);
        frozen.pause().unwrap();
    }
    for (frozen, before) in fleet.iter().zip(&before) {
        gone(&world, before).await;
        frozen.resume().unwrap();
    }
    for (frozen, before) in fleet.iter().zip(&before) {
        renamed(&world, frozen, before).await;
    }
    all_right(&world, &jobs).await;
    // Who lost its session while a commit was under way does not count it; nobody counts one twice.
    let recorded = recorded(&[&fleet[0], &fleet[1], &fleet[2]]).await;
    assert!((5_000..=6_000).contains(&recorded), "{recorded} of 6000");
}

#[tokio::test]
async fn executors_asked_to_stop_under_load_leave_nothing_to_be_run_twice() {
    let world = World::private().await.unwrap();
    let executions = world.dir().join("executions");
    let start = async |name: &str| {
        let program = executor(&world, "").env("DISTJOB_TEST_EXECUTIONS", &executions);
        world.start_member(program, name).await.unwrap()
    };
    let leaving = [start("executor-1").await, start("executor-2").await];
    let _watcher = world.start_member(watcher(&world, ""), "watcher").await.unwrap();
    let _next = start("executor-3").await;
    let jobs = submitted(&world, 6, 3_000).await;
    in_full_swing(&world, &jobs).await;
    // Both while there is work, however long the first takes to leave.
    for executor in &leaving {
        let name = world.member_of(executor).await.unwrap().unwrap().name;
        holds_a_lease(&world, &name).await;
    }
    for left in join_all(leaving.iter().map(|executor| executor.stop(SOON))).await {
        left.unwrap();
    }
    all_right(&world, &jobs).await;
    let listed = fs::read_to_string(&executions).unwrap();
    assert_eq!(listed.lines().count(), 18_000, "executions");
}

#[tokio::test]
async fn a_second_sigterm_ends_an_executor_at_once_and_its_ranges_run_elsewhere() {
    let world = World::private().await.unwrap();
    let hasty = world
        .start_member(executor(&world, ""), "executor-hasty")
        .await
        .unwrap();
    let name = world.member_of(&hasty).await.unwrap().unwrap().name;
    let jobs = [Job::of(&world, "slow", vec!["sleep 8000"; 4])];
    jobs[0].submit_plainly(&world).await;
    holds_a_lease(&world, &name).await;
    hasty.terminate().unwrap();
    eventually("it is leaving", SOON, async || {
        let answer = hasty.admin_get("/readyz").await?;
        anyhow::ensure!(answer.status == 503, "{answer:?}");
        Ok(())
    })
    .await;
    hasty.terminate().unwrap();
    // Sooner than its tasks end.
    hasty.wait(Duration::from_secs(4)).await.unwrap();
    let _others = fleet(&world, 2, 1).await;
    all_right(&world, &jobs).await;
}

#[tokio::test]
async fn an_executor_killed_before_it_says_that_a_job_is_done_is_stood_in_for() {
    let world = World::private().await.unwrap();
    let dying = executor(&world, "").env("DISTJOB_TEST_POINTS", "before-processed=kill");
    let dying = world.start_member(dying, "executor-dying").await.unwrap();
    let jobs = submitted(&world, 3, 20).await;
    dying.wait(SOON).await.unwrap();
    let _others = fleet(&world, 1, 1).await;
    all_right(&world, &jobs).await;
}

#[tokio::test]
async fn an_executor_frozen_before_it_says_that_a_job_is_done_changes_nothing_later() {
    let world = World::private().await.unwrap();
    let frozen = executor(&world, "").env("DISTJOB_TEST_POINTS", "before-processed=stop");
    let frozen = world.start_member(frozen, "executor-frozen").await.unwrap();
    let before = world.member_of(&frozen).await.unwrap().unwrap().name;
    let jobs = submitted(&world, 3, 20).await;
    gone(&world, &before).await;
    let _others = fleet(&world, 1, 1).await;
    all_right(&world, &jobs).await;
    frozen.resume().unwrap();
    renamed(&world, &frozen, &before).await;
    let later = submitted(&world, 2, 20).await;
    all_right(&world, &[jobs, later].concat()).await;
}

/// How many outcomes took effect that these executors recorded.
async fn recorded(executors: &[&Process]) -> u64 {
    let mut sum = 0;
    for executor in executors {
        sum += metric(executor, r#"distjob_tasks_total{outcome="ok"}"#).await;
    }
    sum
}
