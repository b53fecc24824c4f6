//! The example at work, on real servers.

#![expect(clippy::unwrap_used, reason = "tests panic, and so do their helpers")]

use std::time::Duration;

use anyhow::Context as _;
use harness::{Delivered, Program, World, eventually};

const SOON: Duration = Duration::from_secs(40);

/// Submits a job and returns what was delivered of it.
async fn outcomes(world: &World, queue: &str, tasks: &[&str]) -> Vec<Result<Vec<u8>, String>> {
    let file = world.dir().join(queue);
    std::fs::write(&file, tasks.join("\n")).unwrap();
    let args = ["--queue", queue, file.to_str().unwrap()];
    let ids = world.submit(&args, SOON).await.unwrap();
    let lines: Vec<Delivered> = eventually("the job is delivered", SOON, async || {
        world.delivered(queue, &ids[0])?.context("not yet")
    })
    .await;
    lines.into_iter().map(|line| line.outcome).collect()
}

#[tokio::test]
async fn each_queue_has_its_own_handler() {
    let world = World::shared().await.unwrap();
    let config = world.config()
        + "[admin]\nlisten = \"127.0.0.1:0\"\n[executor]\nqueues = [\"words\", \"hosts\"]\n\
           [queue]\nretry_initial = \"1ms\"\n";
    let program = Program::at(env!("CARGO_BIN_EXE_rust-executor")).config(config);
    let executor = world.start_member(program, "executor").await.unwrap();
    let watcher = world.watcher("").unwrap();
    let _watcher = world.start_member(watcher, "watcher").await.unwrap();

    let words = outcomes(&world, "words", &["to be or not to be", "that"]).await;
    assert_eq!(words, [Ok(b"6".to_vec()), Ok(b"1".to_vec())]);
    let hosts = outcomes(&world, "hosts", &["127.0.0.1", "no such host"]).await;
    assert_eq!(hosts[0], Ok(b"127.0.0.1".to_vec()));
    assert!(hosts[1].is_err());
    executor.stop(SOON).await.unwrap();
}

#[tokio::test]
async fn a_queue_without_a_handler_is_said_at_the_start() {
    let world = World::shared().await.unwrap();
    let config = world.config() + "[executor]\nqueues = [\"words\", \"primes\"]\n";
    let program = Program::at(env!("CARGO_BIN_EXE_rust-executor")).config(config);
    let executor = world.start(program, "executor").unwrap();
    executor.wait_log("no handler*primes", SOON).await.unwrap();
    assert_eq!(executor.wait(SOON).await.unwrap().code(), Some(1));
}
