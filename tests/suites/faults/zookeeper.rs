//! A ZooKeeper that restarts, dies, and ends sessions.

use std::time::Duration;

use harness::{Process, World, eventually};

use crate::load::{
    Job, SOON, all_right, executor, fleet, holds_a_lease, in_full_swing, renamed, submitted, watcher,
};

/// Long enough that nothing in a test is owed to a scrub.
const NO_SCRUB: &str = "scrub_every = \"1h\"";

async fn names(world: &World, fleet: &[Process]) -> Vec<String> {
    let mut names = Vec::new();
    for process in fleet {
        names.push(world.registered(process).await.unwrap().name);
    }
    names
}

#[tokio::test]
async fn zookeeper_restarted_under_load_is_survived_with_all_sessions() {
    let mut world = World::private().await.unwrap();
    world.set_session_timeout(Duration::from_secs(20));
    let fleet = fleet(&world, 2, 2).await;
    let before = names(&world, &fleet).await;
    let mut jobs = submitted(&world, 9, 300).await;
    in_full_swing(&world, &jobs).await;
    world.zookeeper().unwrap().restart().await.unwrap();
    jobs.extend(submitted(&world, 6, 100).await);
    all_right(&world, &jobs).await;
    assert_eq!(names(&world, &fleet).await, before);
}

#[tokio::test]
async fn zookeeper_killed_under_load_is_survived_and_awaited_by_the_submitter() {
    let world = World::private().await.unwrap();
    let _fleet = fleet(&world, 2, 2).await;
    let mut jobs = submitted(&world, 9, 300).await;
    in_full_swing(&world, &jobs).await;
    let zookeeper = world.zookeeper().unwrap();
    zookeeper.kill().await.unwrap();
    let meanwhile = Job::echo(&world, "meanwhile", 100);
    let (_, started) = tokio::join!(meanwhile.submit(&world), zookeeper.start());
    started.unwrap();
    jobs.push(meanwhile);
    all_right(&world, &jobs).await;
}

#[tokio::test]
async fn idle_daemons_notice_new_jobs_after_a_restart_of_zookeeper_without_a_scrub() {
    let world = World::private().await.unwrap();
    let _executor = world
        .start_member(executor(&world, NO_SCRUB), "executor")
        .await
        .unwrap();
    let _watcher = world
        .start_member(watcher(&world, NO_SCRUB), "watcher")
        .await
        .unwrap();
    let mut jobs = submitted(&world, 1, 5).await;
    all_right(&world, &jobs).await;
    world.zookeeper().unwrap().restart().await.unwrap();
    // The first of these may be found by the list that follows the reconnect. From then on only a watch tells of jobs:
    // the server has forgotten the one that was set before, and the client does not set it again by itself.
    for _ in 0..3 {
        jobs.extend(submitted(&world, 1, 5).await);
        all_right(&world, &jobs).await;
    }
}

#[tokio::test]
async fn idle_executors_notice_deaths_after_a_restart_of_zookeeper_without_a_scrub() {
    let mut world = World::private().await.unwrap();
    let heir = executor(&world, NO_SCRUB);
    let watcher = watcher(&world, NO_SCRUB);
    // It dies when the test says so, and not when it has not pinged for a while.
    world.set_session_timeout(Duration::from_secs(60));
    let doomed = executor(&world, NO_SCRUB).env("DISTJOB_TEST_TASK_DELAY_US", "60000000");
    let doomed = world.start_member(doomed, "executor-doomed").await.unwrap();
    let member = world.member_of(&doomed).await.unwrap().unwrap();
    let mut jobs = submitted(&world, 1, 40).await;
    holds_a_lease(&world, &member.name).await;
    doomed.kill().await.unwrap();
    let heir = world.start_member(heir, "executor-heir").await.unwrap();
    let _watcher = world.start_member(watcher, "watcher").await.unwrap();
    world.zookeeper().unwrap().restart().await.unwrap();
    // Once this is done the heir has looked at everything again, and waits.
    let later = Job::echo(&world, "later", 5);
    later.submit_plainly(&world).await;
    eventually("the heir is back", SOON, async || later.check(&world)).await;
    jobs.push(later);
    world.expire(member.session).await.unwrap();
    heir.wait_log("freed the ranges of a dead executor", SOON)
        .await
        .unwrap();
    all_right(&world, &jobs).await;
}

#[tokio::test]
async fn all_sessions_ended_at_once_under_load_begin_anew_under_new_names() {
    let world = World::private().await.unwrap();
    let fleet = fleet(&world, 3, 2).await;
    let before = names(&world, &fleet).await;
    let mut jobs = submitted(&world, 9, 400).await;
    in_full_swing(&world, &jobs).await;
    assert!(world.zookeeper().unwrap().expire_all_sessions().await.unwrap() >= 5);
    for (process, before) in fleet.iter().zip(&before) {
        renamed(&world, process, before).await;
    }
    jobs.extend(submitted(&world, 3, 50).await);
    all_right(&world, &jobs).await;
}

#[tokio::test]
async fn zookeeper_frozen_beyond_all_sessions_under_load_ends_them_and_costs_no_result() {
    let world = World::private().await.unwrap();
    let fleet = fleet(&world, 3, 2).await;
    let before = names(&world, &fleet).await;
    let jobs = submitted(&world, 9, 600).await;
    in_full_swing(&world, &jobs).await;
    let zookeeper = world.zookeeper().unwrap();
    zookeeper.pause().unwrap();
    // By their own clocks, too, their sessions end.
    for process in &fleet {
        let told = process.wait_log("the term is over", SOON).await;
        told.unwrap();
    }
    zookeeper.resume().unwrap();
    for (process, before) in fleet.iter().zip(&before) {
        renamed(&world, process, before).await;
    }
    all_right(&world, &jobs).await;
}

#[tokio::test]
async fn sessions_ended_again_and_again_under_load_cost_no_result() {
    let world = World::private().await.unwrap();
    let fleet = fleet(&world, 3, 2).await;
    let jobs = submitted(&world, 12, 400).await;
    for round in 0..3 {
        for process in [&fleet[round], &fleet[3 + round % 2]] {
            let member = world.registered(process).await.unwrap();
            world.expire(member.session).await.unwrap();
            renamed(&world, process, &member.name).await;
        }
    }
    all_right(&world, &jobs).await;
    eventually("everybody is ready", SOON, async || {
        for process in &fleet {
            let answer = process.admin_get("/readyz").await?;
            anyhow::ensure!(answer.status == 200, "{}: {answer:?}", process.name());
        }
        Ok(())
    })
    .await;
}
