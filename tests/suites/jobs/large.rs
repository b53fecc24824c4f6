//! A job of a million tasks.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use crate::crew::{Executor, calm_world, verdict};

const TASKS: u64 = 1_000_000;
const MIB: u64 = 1024 * 1024;
const DONE_WITHIN: Duration = Duration::from_secs(150);

#[tokio::test]
async fn a_million_tasks_pass_through_little_memory_and_all_results_are_right() {
    let world = calm_world().await;
    let watcher = world.watcher("").unwrap().watch_memory();
    let watcher = world.start_member(watcher, "w").await.unwrap();
    let (e1, e2) = tokio::join!(Executor::start(&world, "e1"), Executor::start(&world, "e2"));
    let input = world.dir().join("input");
    let mut lines = String::new();
    (0..TASKS).for_each(|number| writeln!(lines, "{number}").unwrap());
    fs::write(&input, lines).unwrap();

    let submitter = world.program("submitter", "").unwrap();
    let submitter = submitter.args(["once", "-", "--queue", "primes"]);
    let submitter = submitter.stdin_file(input).watch_memory();
    let submitter = world.start(submitter, "submitter").unwrap();
    let ids = submitter.succeeded(DONE_WITHIN).await.unwrap();
    let peak = submitter.peak_memory().unwrap();
    assert!(peak < 64 * MIB, "the submitter took {} MiB", peak / MIB);

    world.drained(DONE_WITHIN).await.unwrap();
    let peak = watcher.peak_memory().unwrap();
    assert!(peak < 128 * MIB, "the watcher took {} MiB", peak / MIB);
    assert_eq!(e1.executions() + e2.executions(), TASKS);
    let delivered = world.delivered("primes", &ids[0]).unwrap().unwrap();
    assert_eq!(delivered.len() as u64, TASKS);
    for (number, line) in (0..).zip(&delivered) {
        assert_eq!(line.index, number);
        assert_eq!(line.task, number.to_string().as_bytes());
        assert_eq!(line.outcome, verdict(number), "{number}");
    }
}
