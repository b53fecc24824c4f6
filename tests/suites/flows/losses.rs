//! Requests and replies about what follows a job that get lost or late: it is created once, with all of its tasks.

use distjob_runtime::store::scripts;
use harness::{Trigger, World};

use crate::chains::{CHAIN, SERVED, went_through};
use crate::load::{self, Job};
use crate::rig::{EFFECTS, Mishap, Rig, both, contains, given_up};

const QUEUES: [&str; 3] = ["default", "second", "third"];

/// A crew of which only the watcher takes the way through the proxies.
async fn crew(rig: &Rig) -> [harness::Process; 2] {
    let watcher = rig.through(load::watcher(&rig.world, CHAIN));
    [
        rig.start(rig.executor(SERVED), "executor").await,
        rig.start(watcher, "watcher").await,
    ]
}

/// The transaction that says that a job is delivered, and creates what follows it.
fn uploaded(world: &World, id: &str) -> Trigger {
    let path = world.path(&format!("jobs/{id}"));
    Trigger::when(move |request| {
        [&path, "uploaded=", ";then="]
            .iter()
            .all(|text| contains(request, text))
    })
}

#[tokio::test]
async fn what_follows_is_created_once_whatever_becomes_of_the_reply() {
    let rig = Rig::private().await;
    let [_executor, watcher] = crew(&rig).await;
    let mut jobs = Vec::new();
    for effect in EFFECTS {
        let job = Job::echo(&rig.world, "created", 20);
        let fault = rig.zookeeper.arm(effect, uploaded(&rig.world, &job.id));
        job.submit_plainly(&rig.world).await;
        given_up(&fault, effect, &watcher).await;
        jobs.push(job);
    }
    went_through(&rig.world, &jobs, &QUEUES).await;
}

/// For each effect a job, and a call of this script about what follows it that has this mishap.
async fn each_effect(script: &'static str) {
    let (_, code) = scripts().find(|(name, _)| *name == script).unwrap();
    let rig = Rig::private().await;
    let _crew = crew(&rig).await;
    let mut jobs = Vec::new();
    for effect in EFFECTS {
        let job = Job::echo(&rig.world, script, 20);
        let mishap = Mishap::arm(&rig.redis, effect, || both(code.get_hash(), ":in:then-"));
        job.submit_plainly(&rig.world).await;
        mishap.over().await;
        jobs.push(job);
    }
    went_through(&rig.world, &jobs, &QUEUES).await;
}

#[tokio::test]
async fn tasks_whose_staging_is_lost_or_late_are_staged_once() {
    each_effect("push").await;
}

#[tokio::test]
async fn opening_that_is_lost_or_late_loses_no_task() {
    each_effect("open").await;
}
