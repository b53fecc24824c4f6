//! What members read of ZooKeeper to know jobs and each other.

use harness::{Effect, Process, Trigger};

use crate::load::{self, Job, SOON};
use crate::rig::{EFFECTS, Rig, contains};

// `ZooDefs.OpCode`.
/// One znode's data, and that of many.
const GET_DATA: [i32; 2] = [4, 22];
const GET_CHILDREN: [i32; 2] = [8, 12];
const ADD_WATCH: i32 = 106;

/// The next `times` requests of these kinds that name this path.
fn reading(opcodes: impl IntoIterator<Item = i32>, path: String, times: u32) -> Trigger {
    let opcodes: Vec<_> = opcodes.into_iter().map(i32::to_be_bytes).collect();
    Trigger::when(move |request| {
        let opcode = request.get(8..12);
        opcodes.iter().any(|known| opcode == Some(known)) && contains(request, &path)
    })
    .times(times)
}

/// Lets a job wait for an executor and a watcher of whose reads below this path, itself below the root, the first two have
/// this mishap.
async fn met_with(opcodes: &[i32], directory: &str) {
    let rig = Rig::shared().await;
    let mut jobs = Vec::new();
    for effect in EFFECTS {
        let job = Job::echo(&rig.world, "seen", 20);
        let submitter = rig.submitter(&job);
        submitter.succeeded(SOON).await.unwrap();
        let reading = reading(opcodes.iter().copied(), rig.world.path(directory), 2);
        let fault = rig.zookeeper.arm(effect, reading);
        let executor = rig.through(rig.executor(""));
        let executor = rig
            .world
            .start(executor, &format!("executor-{effect:?}"))
            .unwrap();
        let watcher = rig.through(load::watcher(&rig.world, ""));
        let watcher = rig.world.start(watcher, &format!("watcher-{effect:?}")).unwrap();
        fault.fired(SOON).await.unwrap();
        noticed(effect, [&executor, &watcher]).await;
        fault.release();
        jobs.push(job);
        rig.all_right_and_run_once(&jobs).await;
        executor.stop(SOON).await.unwrap();
        watcher.stop(SOON).await.unwrap();
    }
}

/// Returns when one of them has given up waiting for a reply that is held.
async fn noticed(effect: Effect, processes: [&Process; 2]) {
    if !matches!(effect, Effect::HoldReply | Effect::HoldRequest) {
        return;
    }
    let [one, other] = processes.map(|process| process.wait_log("no reply within", SOON));
    tokio::select! {
        line = one => drop(line.unwrap()),
        line = other => drop(line.unwrap()),
    }
}

#[tokio::test]
async fn a_list_of_jobs_that_is_lost_or_late_is_read_again() {
    met_with(&GET_CHILDREN, "jobs").await;
}

#[tokio::test]
async fn a_watch_on_the_jobs_that_is_lost_or_late_is_set_again() {
    met_with(&[ADD_WATCH], "jobs").await;
}

#[tokio::test]
async fn a_list_of_members_that_is_lost_or_late_is_read_again() {
    met_with(&GET_CHILDREN, "executors").await;
}

#[tokio::test]
async fn what_a_job_says_is_read_again_when_it_is_lost_or_late() {
    met_with(&GET_DATA, "jobs/").await;
}

#[tokio::test]
async fn what_a_member_says_is_read_again_when_it_is_lost_or_late() {
    met_with(&GET_DATA, "executors/").await;
}
