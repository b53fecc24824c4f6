//! What an executor asks of Redis.

use anyhow::ensure;
use harness::{Effect, Process, eventually};

use crate::load::{self, Job, SOON, holds_a_lease, metric};
use crate::rig::{EFFECTS, Mishap, Rig, on};

/// For each effect a job of so many tasks, of whose calls of `script` the one after `skip` others has this mishap.
async fn each_effect(script: &str, skip: u32, tasks: usize) {
    let rig = Rig::shared().await;
    let _crew = rig.crew().await;
    let mut jobs = Vec::new();
    for effect in EFFECTS {
        let job = Job::echo(&rig.world, script, tasks);
        let mishap = Mishap::arm(&rig.redis, effect, || on(script, &job.id).skip(skip));
        job.submit_plainly(&rig.world).await;
        mishap.over().await;
        jobs.push(job);
    }
    rig.all_right_and_run_once(&jobs).await;
}

#[tokio::test]
async fn a_first_claim_that_is_lost_or_late_is_made_again() {
    each_effect("claim", 0, 100).await;
}

#[tokio::test]
async fn what_a_claim_leased_whose_reply_was_lost_or_that_came_late_is_leased_to_the_same_executor_again() {
    // The first claim finds that the job is to be opened.
    each_effect("claim", 1, 300).await;
}

#[tokio::test]
async fn a_commit_that_is_lost_or_late_counts_once_and_nothing_is_run_again() {
    each_effect("commit", 0, 300).await;
}

#[tokio::test]
async fn a_last_commit_that_is_lost_or_late_completes_the_job() {
    each_effect("commit", 0, 1).await;
}

#[tokio::test]
async fn an_open_that_is_lost_or_late_opens_the_job_once() {
    let rig = Rig::shared().await;
    let _crew = rig.crew().await;
    let mut jobs = Vec::new();
    for effect in EFFECTS {
        let job = Job::echo(&rig.world, "opened", 100);
        let mishap = Mishap::arm(&rig.redis, effect, || on("open", &job.id));
        job.submit_plainly(&rig.world).await;
        let late = mishap.over_or_done().await;
        jobs.push(job);
        rig.all_right_and_run_once(&jobs).await;
        drop(late);
    }
}

#[tokio::test]
async fn ranges_given_back_on_leaving_are_given_back_once_whatever_becomes_of_the_reply() {
    let rig = Rig::shared().await;
    let _watcher = watcher(&rig).await;
    let mut jobs = Vec::new();
    for effect in EFFECTS {
        let leaving = rig.through(rig.executor("claim_target = \"5s\""));
        let leaving = rig.start(leaving, &format!("executor-leaving-{effect:?}")).await;
        let name = rig.world.member_of(&leaving).await.unwrap().unwrap().name;
        let job = Job::of(&rig.world, "freed", vec!["sleep 20"; 150]);
        let fault = rig.redis.arm(effect, on("release", &job.id));
        job.submit_plainly(&rig.world).await;
        holds_a_lease(&rig.world, &name).await;
        // It is repeated, or all that there is of the job is given back at the end.
        let (left, fired) = tokio::join!(leaving.stop(SOON), fault.fired(SOON));
        left.unwrap();
        fired.unwrap();
        fault.release();
        let next = rig.executor("");
        let next = rig.start(next, &format!("executor-{effect:?}")).await;
        jobs.push(job);
        rig.all_right_and_run_once(&jobs).await;
        next.stop(SOON).await.unwrap();
    }
}

#[tokio::test]
async fn the_ranges_of_a_dead_executor_are_freed_once_whatever_becomes_of_the_reply() {
    let rig = Rig::shared().await;
    let _watcher = watcher(&rig).await;
    let mut jobs = Vec::new();
    for effect in EFFECTS {
        let dying = rig
            .start(rig.executor(""), &format!("executor-dying-{effect:?}"))
            .await;
        let job = Job::of(&rig.world, "reclaimed", vec!["sleep 20"; 60]);
        job.submit_plainly(&rig.world).await;
        let member = rig.world.member_of(&dying).await.unwrap().unwrap();
        holds_a_lease(&rig.world, &member.name).await;
        dying.kill().await.unwrap();
        rig.world.expire(member.session).await.unwrap();

        let mishap = Mishap::arm(&rig.redis, effect, || on("free", &job.id));
        let next = rig.through(rig.executor(""));
        let next = rig.start(next, &format!("executor-{effect:?}")).await;
        let late = mishap.over_or_done().await;
        jobs.push(job);
        rig.all_right(&jobs).await;
        drop(late);
        next.stop(SOON).await.unwrap();
    }
}

#[tokio::test]
async fn the_answer_that_a_job_is_complete_may_be_lost_or_late() {
    let rig = Rig::shared().await;
    let _watcher = watcher(&rig).await;
    let mut jobs = Vec::new();
    for effect in EFFECTS {
        let dying = rig
            .executor("")
            .env("DISTJOB_TEST_POINTS", "before-processed=kill");
        let dying = rig.start(dying, &format!("executor-dying-{effect:?}")).await;
        let session = rig.world.member_of(&dying).await.unwrap().unwrap().session;
        let job = Job::echo(&rig.world, "complete", 20);
        job.submit_plainly(&rig.world).await;
        dying.wait(SOON).await.unwrap();
        rig.world.expire(session).await.unwrap();

        let mishap = Mishap::arm(&rig.redis, effect, || on("claim", &job.id));
        let next = rig.through(rig.executor(""));
        let next = rig.start(next, &format!("executor-{effect:?}")).await;
        mishap.over().await;
        jobs.push(job);
        rig.all_right_and_run_once(&jobs).await;
        next.stop(SOON).await.unwrap();
    }
}

/// The claim is late, and while it is on its way its sender gets busy with another job: nobody asks again soon. What it
/// leased is found when the connection is a new one.
#[tokio::test]
async fn a_lease_that_its_holder_does_not_know_of_is_found_when_the_connection_is_a_new_one() {
    let rig = Rig::shared().await;
    let executor = rig.through(rig.executor("claim_target = \"5s\""));
    let executor = rig.start(executor, "executor").await;
    let name = rig.world.member_of(&executor).await.unwrap().unwrap().name;
    let job = Job::echo(&rig.world, "late", 200);
    let late = rig.redis.arm(Effect::HoldRequest, on("claim", &job.id).skip(1));
    job.submit_plainly(&rig.world).await;
    late.fired(SOON).await.unwrap();
    let other = Job::of(&rig.world, "long", vec!["sleep 400"; 8]);
    other.submit_plainly(&rig.world).await;
    holds_a_lease(&rig.world, &name).await;
    late.release();
    eventually("the late claim leases something", SOON, async || {
        ensure!(!rig.holders(&job.id).await.is_empty(), "nothing");
        Ok(())
    })
    .await;
    rig.redis.cut();
    let _watcher = watcher(&rig).await;
    rig.all_right_and_run_once(&[job, other]).await;
    assert_eq!(metric(&executor, "distjob_terms_total").await, 1);
}

/// A watcher that nothing befalls.
async fn watcher(rig: &Rig) -> Process {
    rig.start(load::watcher(&rig.world, ""), "watcher").await
}
