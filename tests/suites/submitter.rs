//! The submitter, as a process, against real servers: what it makes of its input, and that a job is never half visible.

#![expect(clippy::unwrap_used, reason = "tests panic, and so do their helpers")]

#[path = "submitter/cron.rs"]
mod cron;
#[path = "submitter/groups.rs"]
mod groups;
#[path = "submitter/input.rs"]
mod input;
#[path = "submitter/outages.rs"]
mod outages;
#[path = "submitter/resubmission.rs"]
mod resubmission;
#[path = "submitter/run.rs"]
mod run;
#[path = "submitter/steps.rs"]
mod steps;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use harness::{Process, Program, World, eventually, unique};
use redis::AsyncCommands as _;

/// For what takes milliseconds on an idle machine.
const SOON: Duration = Duration::from_secs(60);

/// `submitter once` with these arguments, and this `[submitter]` table.
fn once(world: &World, table: &str, args: &[&str]) -> Program {
    let table = format!("[submitter]\n{table}\n");
    world.program("submitter", &table).unwrap().arg("once").args(args)
}

/// Starts it.
fn start(world: &World, program: Program) -> Process {
    world.start(program, &format!("submitter-{}", unique())).unwrap()
}

/// A file with this content.
fn file(world: &World, content: impl AsRef<[u8]>) -> PathBuf {
    let path = world.dir().join(format!("input-{}", unique()));
    fs::write(&path, content).unwrap();
    path
}

/// Runs it on an input; its status and the ids that it printed.
async fn submit(world: &World, content: &str, args: &[&str]) -> (Option<i32>, Vec<String>) {
    let path = file(world, content);
    let process = start(world, once(world, "", args).arg(path));
    let status = process.wait(SOON).await.unwrap();
    (status.code(), process.stdout().lines())
}

/// The tasks of an open job, as they stand in the store.
async fn tasks(world: &World, id: &str) -> Vec<Vec<u8>> {
    let mut redis = world.redis().await.unwrap();
    redis
        .lrange(format!("{}{{{id}}}:tasks", world.prefix()), 0, -1)
        .await
        .unwrap()
}

/// The same as text.
async fn task_texts(world: &World, id: &str) -> Vec<String> {
    let tasks = tasks(world, id).await;
    tasks
        .into_iter()
        .map(|task| String::from_utf8(task).unwrap())
        .collect()
}

/// The names of the keys of this world, but for the ledger mark, without its prefix.
async fn keys(world: &World) -> Vec<String> {
    let keys = world.keys().await.unwrap().into_iter();
    keys.map(|key| key.name.trim_start_matches(&world.prefix()).to_owned())
        .filter(|name| name != "ledger")
        .collect()
}

/// Waits until the process has stopped itself, which it says before.
async fn stopped(process: &Process) {
    let stat = format!("/proc/{}/stat", process.pid());
    eventually("the submitter stands still", SOON, async || {
        let stat = fs::read_to_string(&stat).context("it has ended")?;
        ensure!(stat.contains(") T "), "{stat}");
        Ok(())
    })
    .await;
}
