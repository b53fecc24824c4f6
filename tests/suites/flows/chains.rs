//! Whole workflows: real executors and watchers, and all that the ledger went through.

use std::collections::BTreeSet;
use std::fs;

use harness::{World, is_delivered};

use crate::audit::audit;
use crate::load::{self, Job, SOON};

/// The queues of a chain of three, after [`DEFAULT`].
pub(crate) const SERVED: &str = "queues = [\"default\", \"second\", \"third\"]";

/// The steps of that chain: what has a value goes on.
pub(crate) const CHAIN: &str = "\
    [queues.default.then.next]\nqueue = \"second\"\n\
    [queues.second.then.next]\nqueue = \"third\"\n";

/// The tasks of each job that was delivered in a queue.
fn delivered(world: &World, queue: &str) -> BTreeSet<Vec<String>> {
    let Ok(entries) = fs::read_dir(world.sink().join(queue)) else {
        return BTreeSet::new();
    };
    let files = entries.map(|entry| entry.unwrap().path());
    let results = files.filter(|path| path.extension().is_some_and(|ending| ending == "jsonl"));
    let tasks = |path: std::path::PathBuf| {
        assert!(is_delivered(&path));
        let id = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let lines = world.delivered(queue, &id).unwrap().unwrap();
        let task = |line: harness::Delivered| String::from_utf8(line.task).unwrap();
        lines.into_iter().map(task).collect()
    };
    results.map(tasks).collect()
}

/// Returns when nothing is left to do, and checks that each job went through all `queues` once: with all of its tasks, in
/// one life, to its end.
pub(crate) async fn went_through(world: &World, jobs: &[Job], queues: &[&str]) {
    world.drained(SOON).await.unwrap();
    load::no_partial_files(world).await;
    let expected: BTreeSet<_> = jobs.iter().map(|job| job.tasks.clone()).collect();
    for queue in queues {
        assert_eq!(delivered(world, queue), expected, "queue {queue}");
    }
    let ledger = audit(world);
    assert_eq!(ledger.jobs.len(), jobs.len() * queues.len());
    for (id, lives) in &ledger.jobs {
        let is_once = lives.len() == 1 && lives[0].states.last().is_some_and(|state| state == "uploaded");
        assert!(is_once, "job {id}: {lives:?}");
    }
}

#[tokio::test]
async fn each_job_of_a_chain_of_three_is_followed_once() {
    let world = World::private().await.unwrap();
    let mut fleet = Vec::new();
    for name in ["executor-1", "executor-2"] {
        fleet.push(
            world
                .start_member(load::executor(&world, SERVED), name)
                .await
                .unwrap(),
        );
    }
    for name in ["watcher-1", "watcher-2"] {
        fleet.push(
            world
                .start_member(load::watcher(&world, CHAIN), name)
                .await
                .unwrap(),
        );
    }
    let mut jobs = Vec::new();
    for number in 1..=10 {
        let job = Job::echo(&world, "chain", 20 * number);
        job.submit_plainly(&world).await;
        jobs.push(job);
    }
    went_through(&world, &jobs, &["default", "second", "third"]).await;
}
