//! What a watcher asks of Redis.

use crate::load::{self, Job};
use crate::rig::{EFFECTS, Mishap, Rig, on};

/// For each effect a job of 30 tasks, read ten at a time, one of whose calls of a script has this mishap.
async fn each_effect(script: &str, skip: u32) {
    let rig = Rig::shared().await;
    // Slices are cut between commits, and a commit is no larger than a lease: three slices at least.
    let executor = rig.executor("claim_max_tasks = 5");
    let _executor = rig.start(executor, "executor").await;
    let watcher = load::watcher(&rig.world, "slice_max_tasks = 10");
    let _watcher = rig.start(rig.through(watcher), "watcher").await;
    let mut jobs = Vec::new();
    for effect in EFFECTS {
        let job = Job::echo(&rig.world, script, 30);
        let mishap = Mishap::arm(&rig.redis, effect, || on(script, &job.id).skip(skip));
        job.submit_plainly(&rig.world).await;
        mishap.over().await;
        jobs.push(job);
    }
    rig.all_right_and_run_once(&jobs).await;
}

#[tokio::test]
async fn a_status_that_is_lost_or_late_is_asked_for_again() {
    each_effect("status", 0).await;
}

#[tokio::test]
async fn a_first_slice_that_is_lost_or_late_is_delivered_once() {
    each_effect("read", 0).await;
}

#[tokio::test]
async fn a_slice_in_the_middle_that_is_lost_or_late_is_delivered_once() {
    each_effect("read", 1).await;
}

#[tokio::test]
async fn a_last_slice_that_is_lost_or_late_is_delivered_once() {
    each_effect("read", 2).await;
}

#[tokio::test]
async fn a_drop_that_is_lost_or_late_leaves_only_the_tombstone() {
    each_effect("drop", 0).await;
}
