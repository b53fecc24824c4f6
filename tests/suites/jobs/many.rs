//! Many jobs of many sizes, over several watchers and executors.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use futures::stream::{self, StreamExt as _};
use harness::{World, eventually};

use crate::SOON;
use crate::crew::{Executor, calm_world, start_watcher, verdict};

const JOBS: u64 = 50;
const SIZES: [u64; 4] = [0, 1, 7, 5_000];

/// `count` numbers of the article's range that look random, others for every `seed`.
fn numbers(seed: u64, count: u64) -> Vec<String> {
    let scattered = (1..=count).map(|n| (n + seed * 1_000_003).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    scattered.map(|n| (5_000 + n % 89_995_001).to_string()).collect()
}

async fn submit(world: &World, name: &str, tasks: &[String]) -> String {
    let file = world.dir().join(name);
    let lines = tasks.iter().map(|task| format!("{task}\n"));
    fs::write(&file, lines.collect::<String>()).unwrap();
    let args = [file.to_str().unwrap(), "--queue", "primes"];
    let ids = world.submit(&args, SOON).await.unwrap();
    assert_eq!(ids.len(), 1, "{ids:?}");
    ids[0].clone()
}

fn names_in(directory: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).unwrap();
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    entries.map(name).collect()
}

#[tokio::test]
async fn fifty_jobs_of_all_sizes_are_delivered_whole_and_leave_nothing_but_tombstones() {
    let world = calm_world().await;
    let (w1, w2) = tokio::join!(start_watcher(&world, "w1"), start_watcher(&world, "w2"));
    let (e1, e2, e3) = tokio::join!(
        Executor::start(&world, "e1"),
        Executor::start(&world, "e2"),
        Executor::start(&world, "e3")
    );
    let executors = [e1, e2, e3];
    let jobs: Vec<Vec<String>> = (0..JOBS)
        .map(|job| numbers(job, SIZES[usize::try_from(job % 4).unwrap()]))
        .collect();
    let world = &world;
    let submitted = stream::iter(jobs.iter().enumerate())
        .map(async |(number, tasks)| submit(world, &format!("input-{number}"), tasks).await);
    let ids: Vec<String> = submitted.buffered(4).collect().await;

    world.drained(Duration::from_secs(90)).await.unwrap();
    for (id, tasks) in ids.iter().zip(&jobs) {
        for line in world.delivered_whole("primes", id, tasks).unwrap() {
            let number = std::str::from_utf8(&line.task).unwrap().parse().unwrap();
            assert_eq!(line.outcome, verdict(number), "{number}");
        }
    }
    let delivered = names_in(&world.sink().join("primes"));
    let expected: BTreeSet<String> = ids
        .iter()
        .flat_map(|id| [format!("{id}.jsonl"), format!("{id}.manifest.json")])
        .collect();
    assert_eq!(
        delivered, expected,
        "each job has two files, and no file is left over"
    );
    assert_eq!(names_in(&world.sink().join(".partial")), BTreeSet::new());
    let mark = format!("{}ledger", world.prefix());
    let tombstones = world.keys().await.unwrap();
    for key in tombstones.iter().filter(|key| key.name != mark) {
        assert!(key.ttl_s.is_some_and(|ttl_s| ttl_s > 0), "{key:?}");
    }

    let total = jobs.iter().map(Vec::len).sum::<usize>() as u64;
    assert_eq!(executors.iter().map(Executor::executions).sum::<u64>(), total);
    // Another executor may have seen that a job is complete before the reply to the last commit came.
    eventually("every outcome is counted", SOON, async || {
        let mut recorded = 0;
        for executor in &executors {
            recorded += executor.recorded().await;
        }
        ensure!(recorded == total, "{recorded} of {total}");
        Ok(())
    })
    .await;
    for executor in &executors {
        executor.stop(SOON).await.unwrap();
    }
    w1.stop(SOON).await.unwrap();
    w2.stop(SOON).await.unwrap();
    assert!(world.executors().await.unwrap().is_empty() && world.watchers().await.unwrap().is_empty());
}
