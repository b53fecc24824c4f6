//! Jobs submitted by the examples that are shipped, which know nothing of distjob's programs.

use std::fs;
use std::path::{Path, PathBuf};

use harness::{Process, Program, World};

use crate::SOON;
use crate::crew::{Executor, calm_world, start_watcher, verdict};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../deploy/examples/plain")
        .join(name)
}

/// The environment that an example reads.
fn in_world(world: &World, program: Program) -> Program {
    program
        .env("REDIS_URL", world.redis_url())
        .env("ZOOKEEPER", world.zookeeper_addr())
        .env("JOBS", world.path("jobs"))
        .env("QUEUE", "primes")
}

async fn is_done(world: &World, submitted: &Process, id: &str, numbers: impl Iterator<Item = u64>) {
    assert_eq!(submitted.succeeded(SOON).await.unwrap(), [id]);
    world.drained(SOON).await.unwrap();
    let numbers: Vec<u64> = numbers.collect();
    let tasks: Vec<String> = numbers.iter().map(u64::to_string).collect();
    let lines = world.delivered_whole("primes", id, &tasks).unwrap();
    for (line, number) in lines.iter().zip(numbers) {
        assert_eq!(line.outcome, verdict(number), "{number}");
    }
}

#[tokio::test]
async fn a_job_made_with_redis_cli_and_zkcli_is_done_like_any_other() {
    let world = calm_world().await;
    let _watcher = start_watcher(&world, "w").await;
    let _executor = Executor::start(&world, "e").await;
    let id = world.job_id("shell");
    let script = Program::at("/bin/sh").arg(example("plain.sh")).env("ID", &id);
    let script = in_world(&world, script).args(["17", "18", "90000001"]);
    let submitted = world.start(script, "plain-sh").unwrap();
    is_done(&world, &submitted, &id, [17, 18, 90_000_001].into_iter()).await;
}

#[tokio::test]
async fn a_job_made_with_python_is_done_like_any_other() {
    let world = calm_world().await;
    let _watcher = start_watcher(&world, "w").await;
    let _executor = Executor::start(&world, "e").await;
    let (id, input) = (world.job_id("python"), world.dir().join("input"));
    let numbers = 5_000..7_500;
    let lines = numbers.clone().map(|number| format!("{number}\n"));
    fs::write(&input, lines.collect::<String>()).unwrap();
    let script = Program::at("/usr/bin/python3").arg(example("plain.py"));
    let script = in_world(&world, script).env("ID", &id).stdin_file(input);
    let submitted = world.start(script, "plain-py").unwrap();
    is_done(&world, &submitted, &id, numbers).await;
}
