//! Watchers that die, freeze and leave, at whatever they are doing.

use std::time::Duration;

use harness::{Process, World};

use crate::load::{Job, SOON, all_right, fleet, gone, in_full_swing, renamed, submitted, watcher};

/// Every place at which a test can stop a watcher, in the order of its way through a job.
const POINTS: [&str; 7] = [
    "locked",
    "collected",
    "before-rename",
    "after-rename",
    "uploaded",
    "dropped",
    "before-delete",
];

/// One watcher for each point, which meets its `fate` there. They look at one job each, and there are jobs for all.
async fn doomed(world: &World, fate: &str) -> (Vec<Process>, Vec<Job>) {
    let mut watchers = Vec::new();
    for point in POINTS {
        let program = watcher(world, "pipelines = 1\nin_hand = 1")
            .env("DISTJOB_TEST_POINTS", format!("{point}={fate}"));
        watchers.push(world.start(program, &format!("watcher-{point}")).unwrap());
    }
    for watcher in &watchers {
        world.registered(watcher).await.unwrap();
    }
    (watchers, submitted(world, 4 * POINTS.len(), 30).await)
}

#[tokio::test]
async fn jobs_of_watchers_killed_at_every_point_are_delivered_once_by_others() {
    let world = World::private().await.unwrap();
    let _executors = fleet(&world, 2, 0).await;
    let (dying, jobs) = doomed(&world, "kill").await;
    for watcher in &dying {
        assert!(!watcher.wait(SOON).await.unwrap().success(), "{}", watcher.name());
    }
    let _watchers = fleet(&world, 0, 2).await;
    all_right(&world, &jobs).await;
}

#[tokio::test]
async fn watchers_frozen_at_every_point_beyond_their_sessions_change_nothing_when_they_go_on() {
    let mut world = World::private().await.unwrap();
    let _executors = fleet(&world, 2, 0).await;
    world.set_session_timeout(Duration::from_secs(3));
    let (frozen, jobs) = doomed(&world, "stop").await;
    let mut before = Vec::new();
    for watcher in &frozen {
        watcher.wait_log("a test asked for this", SOON).await.unwrap();
        let named = watcher.wait_log("registered*member=", SOON).await.unwrap();
        before.push(member(&named));
    }
    for name in &before {
        gone(&world, name).await;
    }
    let _others = fleet(&world, 0, 1).await;
    all_right(&world, &jobs).await;
    for watcher in &frozen {
        watcher.resume().unwrap();
    }
    for (watcher, before) in frozen.iter().zip(&before) {
        renamed(&world, watcher, before).await;
    }
    let later = submitted(&world, 10, 30).await;
    all_right(&world, &[jobs, later].concat()).await;
}

/// The member's name in a line of a log.
fn member(line: &str) -> String {
    let (_, name) = line.split_once("member=").unwrap();
    name.split_whitespace().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn watchers_killed_under_load_are_replaced() {
    let world = World::private().await.unwrap();
    let fleet = fleet(&world, 2, 3).await;
    let jobs = submitted(&world, 30, 60).await;
    in_full_swing(&world, &jobs).await;
    fleet[2].kill().await.unwrap();
    fleet[3].kill().await.unwrap();
    all_right(&world, &jobs).await;
}

#[tokio::test]
async fn watchers_asked_to_stop_under_load_leave_in_good_order() {
    let world = World::private().await.unwrap();
    let fleet = fleet(&world, 2, 3).await;
    let jobs = submitted(&world, 30, 60).await;
    in_full_swing(&world, &jobs).await;
    for leaving in &fleet[2..4] {
        let name = world.member_of(leaving).await.unwrap().unwrap().name;
        leaving.stop(Duration::from_secs(10)).await.unwrap();
        // At once, and not when its session times out.
        let watchers = world.watchers().await.unwrap();
        assert!(
            watchers.iter().all(|member| member.name != name),
            "{name} is there"
        );
        let locks = world.locks().await.unwrap();
        assert!(locks.values().all(|owner| *owner != name), "{locks:?}");
    }
    all_right(&world, &jobs).await;
}
