//! Writes to ZooKeeper whose request or reply is lost, or late.

use harness::{Effect, Process, Program, Trigger, World};

use crate::load::{self, Job, SOON};
use crate::rig::{EFFECTS, Rig, contains, given_up};

// Requests, and what the first part of a transaction may be: `ZooDefs.OpCode`.
const DELETE: i32 = 2;
const SET: i32 = 5;
const MULTI: i32 = 14;

/// The number at this place of a request: 8 is where its opcode is, 12 that of the first part of a transaction.
fn number_at(request: &[u8], place: usize) -> Option<i32> {
    let bytes = request.get(place..)?.first_chunk()?;
    Some(i32::from_be_bytes(*bytes))
}

fn is(request: &[u8], opcode: i32) -> bool {
    number_at(request, 8) == Some(opcode)
}

/// The write with which an executor says that a job is processed.
fn processed(world: &World, id: &str) -> Trigger {
    let path = world.path(&format!("jobs/{id}"));
    Trigger::when(move |request| is(request, SET) && contains(request, &path))
}

/// The transaction that takes a job's lock.
fn locked(world: &World, id: &str) -> Trigger {
    Trigger::creating(&world.path(&format!("watchlocks/{id}")))
}

/// The transaction that says that a job is delivered.
fn uploaded(world: &World, id: &str) -> Trigger {
    let path = world.path(&format!("jobs/{id}"));
    Trigger::when(move |request| {
        is(request, MULTI) && contains(request, &path) && contains(request, "uploaded=")
    })
}

/// The transaction that deletes a job and its lock.
fn deleted(world: &World, id: &str) -> Trigger {
    let path = world.path(&format!("jobs/{id}"));
    Trigger::when(move |request| {
        is(request, MULTI) && number_at(request, 12) == Some(DELETE) && contains(request, &path)
    })
}

/// The executor of a crew, or its watcher.
#[derive(Clone, Copy)]
enum Who {
    Executor,
    Watcher,
}

/// For each effect a job that has this mishap on its way.
async fn each_effect(who: Who, what: fn(&World, &str) -> Trigger) {
    let rig = Rig::private().await;
    let [executor, watcher] = rig.crew().await;
    let writer = match who {
        Who::Executor => &executor,
        Who::Watcher => &watcher,
    };
    let mut jobs = Vec::new();
    for effect in EFFECTS {
        let job = Job::echo(&rig.world, "written", 20);
        let fault = rig.zookeeper.arm(effect, what(&rig.world, &job.id));
        job.submit_plainly(&rig.world).await;
        given_up(&fault, effect, writer).await;
        jobs.push(job);
    }
    rig.all_right_and_run_once(&jobs).await;
}

#[tokio::test]
async fn a_job_is_said_to_be_processed_once_whatever_becomes_of_the_reply() {
    each_effect(Who::Executor, processed).await;
}

#[tokio::test]
async fn a_job_is_locked_by_the_watcher_that_asked_whatever_becomes_of_the_reply() {
    each_effect(Who::Watcher, locked).await;
}

#[tokio::test]
async fn a_job_is_said_to_be_delivered_once_whatever_becomes_of_the_reply() {
    each_effect(Who::Watcher, uploaded).await;
}

#[tokio::test]
async fn a_job_is_deleted_with_its_lock_whatever_becomes_of_the_reply() {
    each_effect(Who::Watcher, deleted).await;
}

#[tokio::test]
async fn a_job_is_created_once_and_said_to_be_so_once_whatever_becomes_of_the_reply() {
    created_once(6).await;
}

#[tokio::test]
async fn a_job_without_tasks_is_created_once_whatever_becomes_of_the_reply() {
    created_once(0).await;
}

async fn created_once(tasks: usize) {
    let rig = Rig::private().await;
    let _crew = rig.untroubled_crew().await;
    let mut jobs = Vec::new();
    for effect in EFFECTS {
        let job = Job::echo(&rig.world, "created", tasks);
        let path = rig.world.path(&format!("jobs/{}", job.id));
        let fault = rig.zookeeper.arm(effect, Trigger::creating(&path));
        let submitter = rig.submitter(&job);
        given_up(&fault, effect, &submitter).await;
        let said = submitter.succeeded(SOON).await.unwrap();
        assert_eq!(said, [job.id.as_str()], "{effect:?}");
        assert!(!submitter.stderr().contains("already submitted"), "{effect:?}");
        jobs.push(job);
    }
    rig.all_right_and_run_once(&jobs).await;
}

/// Starts a member whose registration has this mishap.
async fn registered(rig: &Rig, program: Program, role: &str, effect: Effect) -> Process {
    let directory = rig.world.path(role) + "/";
    let creating = Trigger::when(move |request| {
        // create, create2
        [1, 15].iter().any(|opcode| is(request, *opcode)) && contains(request, &directory)
    });
    let fault = rig.zookeeper.arm(effect, creating);
    let process = rig
        .world
        .start(rig.through(program), &format!("{role}-{effect:?}"))
        .unwrap();
    given_up(&fault, effect, &process).await;
    process.wait_log("registered", SOON).await.unwrap();
    process
}

#[tokio::test]
async fn a_member_is_registered_once_and_knows_its_birth_whatever_becomes_of_the_reply() {
    let rig = Rig::private().await;
    let mut jobs = Vec::new();
    for effect in EFFECTS {
        let executor = registered(&rig, rig.executor(""), "executors", effect).await;
        let watcher = registered(&rig, load::watcher(&rig.world, ""), "watchers", effect).await;
        let executors = rig.world.executors().await.unwrap();
        assert_eq!(executors.len(), 1, "{effect:?}: {executors:?}");
        let watchers = rig.world.watchers().await.unwrap();
        assert_eq!(watchers.len(), 1, "{effect:?}: {watchers:?}");

        let job = Job::of(&rig.world, "led", vec!["sleep 50"; 30]);
        job.submit_plainly(&rig.world).await;
        load::holds_a_lease(&rig.world, &executors[0].name).await;
        let holder = format!("{:016x}.{}", executors[0].czxid, executors[0].name);
        assert_eq!(rig.holders(&job.id).await, [holder], "{effect:?}");
        jobs.push(job);
        rig.all_right_and_run_once(&jobs).await;
        executor.stop(SOON).await.unwrap();
        watcher.stop(SOON).await.unwrap();
    }
}
