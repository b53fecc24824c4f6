//! Requests to Redis that arrive long after they were sent, and after it ceased to matter.

use harness::{Effect, World};
use redis::AsyncCommands as _;

use crate::load::{self, Job, SOON, holds_a_lease};
use crate::rig::{Mishap, Rig, on};

/// The tombstone, or whatever stands there.
async fn meta(world: &World, id: &str) -> Vec<(String, String)> {
    let mut redis = world.redis().await.unwrap();
    let mut fields: Vec<(String, String)> = redis
        .hgetall(format!("{}{{{id}}}:meta", world.prefix()))
        .await
        .unwrap();
    fields.sort();
    fields
}

#[tokio::test]
async fn nothing_that_arrives_when_the_job_is_gone_brings_anything_back() {
    let rig = Rig::shared().await;
    let _crew = rig.crew().await;
    let mut jobs = Vec::new();
    for script in ["open", "claim", "commit", "status", "read", "drop"] {
        let job = Job::echo(&rig.world, script, 20);
        let late = rig.redis.arm(Effect::HoldRequest, on(script, &job.id));
        job.submit_plainly(&rig.world).await;
        late.fired(SOON).await.unwrap();
        rig.world.drained(SOON).await.unwrap();
        let tombstone = meta(&rig.world, &job.id).await;
        rig.arrives(&late).await;
        assert_eq!(meta(&rig.world, &job.id).await, tombstone, "{script}");
        jobs.push(job);
    }
    rig.all_right_and_run_once(&jobs).await;
}

#[tokio::test]
async fn a_drop_that_arrives_late_leaves_the_next_job_of_that_id_alone() {
    let rig = Rig::shared().await;
    let [executor, _watcher] = rig.crew().await;
    let name = rig.world.member_of(&executor).await.unwrap().unwrap().name;
    let first = Job::echo(&rig.world, "reborn", 20);
    let late = rig.redis.arm(Effect::HoldRequest, on("drop", &first.id));
    first.submit_plainly(&rig.world).await;
    late.fired(SOON).await.unwrap();
    rig.world.drained(SOON).await.unwrap();
    first.check(&rig.world).unwrap();

    let second = Job {
        tasks: vec!["sleep 20".to_owned(); 50],
        ..first
    };
    second.submit_plainly(&rig.world).await;
    holds_a_lease(&rig.world, &name).await;
    rig.arrives(&late).await;
    rig.world.drained(SOON).await.unwrap();
    second.check(&rig.world).unwrap();
}

/// Holds the call of `script` after `skip` others of an executor that dies then. Another one goes on with the job, and the
/// call arrives when it has begun.
async fn from_a_dead_executor(script: &str, skip: u32) {
    let rig = Rig::shared().await;
    let dying = rig.start(rig.through(rig.executor("")), "executor-dying").await;
    let session = rig.world.member_of(&dying).await.unwrap().unwrap().session;
    let job = Job::of(&rig.world, script, vec!["sleep 20"; 100]);
    let late = rig.redis.arm(Effect::HoldRequest, on(script, &job.id).skip(skip));
    job.submit_plainly(&rig.world).await;
    late.fired(SOON).await.unwrap();
    dying.kill().await.unwrap();
    rig.world.expire(session).await.unwrap();

    let [next, _watcher] = rig.untroubled_crew().await;
    let name = rig.world.member_of(&next).await.unwrap().unwrap().name;
    holds_a_lease(&rig.world, &name).await;
    rig.arrives(&late).await;
    rig.all_right(&[job]).await;
}

#[tokio::test]
async fn a_claim_that_arrives_after_the_death_of_its_sender_withholds_nothing() {
    from_a_dead_executor("claim", 1).await;
}

#[tokio::test]
async fn a_commit_that_arrives_after_its_range_was_given_away_records_nothing() {
    from_a_dead_executor("commit", 0).await;
}

#[tokio::test]
async fn a_free_that_arrives_after_the_ranges_were_leased_again_takes_them_from_nobody() {
    let rig = Rig::shared().await;
    let dying = rig.start(rig.executor(""), "executor-dying").await;
    let member = rig.world.member_of(&dying).await.unwrap().unwrap();
    let job = Job::of(&rig.world, "freed", vec!["sleep 20"; 100]);
    job.submit_plainly(&rig.world).await;
    holds_a_lease(&rig.world, &member.name).await;
    dying.kill().await.unwrap();
    rig.world.expire(member.session).await.unwrap();

    let mishap = Mishap::arm(&rig.redis, Effect::HoldRequest, || on("free", &job.id));
    let next = rig.start(rig.through(rig.executor("")), "executor").await;
    let name = rig.world.member_of(&next).await.unwrap().unwrap().name;
    let late = mishap.repeated().await;
    holds_a_lease(&rig.world, &name).await;
    rig.arrives(&late).await;
    let _watcher = rig.start(load::watcher(&rig.world, ""), "watcher").await;
    rig.all_right(&[job]).await;
}
