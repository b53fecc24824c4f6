//! The operator's tool, as a process, against real servers with states made by hand.

#![expect(clippy::unwrap_used, reason = "tests panic, and so do their helpers")]

#[path = "ctl/changes.rs"]
mod changes;
#[path = "ctl/flows.rs"]
mod flows;
#[path = "ctl/looks.rs"]
mod looks;
#[path = "ctl/queues.rs"]
mod queues;
#[path = "ctl/stores.rs"]
mod stores;
#[path = "ctl/waits.rs"]
mod waits;

use std::time::Duration;

use distjob_core::{Conclusion, JobData, JobId, KeyScheme, QueueName, Source};
use distjob_runtime::store::{JobStore, StoreSettings};
use harness::{Process, Program, World, unique};
use serde_json::Value;
use zookeeper_client::{Acls, CreateMode};

/// For what takes milliseconds on an idle machine.
const SOON: Duration = Duration::from_secs(60);

/// `distjobctl` with these arguments. Unless the test is about that, it is patient: the machine may be busy.
fn ctl(world: &World, args: &[&str]) -> Program {
    let program = world.program("distjobctl", "").unwrap().args(args);
    if args.contains(&"--timeout") || args.first().is_none_or(|command| *command == "wait") {
        return program;
    }
    program.args(["--timeout", "60s"])
}

/// Starts it.
fn start(world: &World, program: Program) -> Process {
    world.start(program, &format!("distjobctl-{}", unique())).unwrap()
}

/// Runs it with `--json`; its status and what it reported.
async fn report(world: &World, args: &[&str]) -> (i32, Value) {
    let process = start(world, ctl(world, args).arg("--json"));
    let status = process.wait(SOON).await.unwrap().code().unwrap();
    let text = process.stdout().lines().join("\n");
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

/// The directories, and a store that belongs to the ledger, as any daemon makes them.
async fn found(world: &World) {
    let persistent = CreateMode::Persistent.with_acls(Acls::anyone_all());
    let zk = world.zk().await.unwrap();
    for directory in distjob_core::znode::DIRECTORIES {
        zk.mkdir(&world.path(directory), &persistent).await.unwrap();
    }
    let stat = zk.check_stat(&world.path("jobs")).await.unwrap().unwrap();
    store(world).mark_ledger(stat.czxid.into()).await.unwrap();
}

/// Submits so many tasks under an id.
async fn submit(world: &World, id: &str, count: usize) {
    let count = count.to_string();
    let ids = world
        .submit(&["--id", id, "--random-numbers", &count], SOON)
        .await
        .unwrap();
    assert_eq!(ids, [id]);
}

/// Overwrites the data of a job's znode.
async fn set_job(world: &World, id: &str, data: &str) {
    let zk = world.zk().await.unwrap();
    zk.set_data(&world.path(&format!("jobs/{id}")), data.as_bytes(), None)
        .await
        .unwrap();
}

/// Deletes a job's znode.
async fn delete_job(world: &World, id: &str) {
    let zk = world.zk().await.unwrap();
    zk.delete(&world.path(&format!("jobs/{id}")), None).await.unwrap();
}

/// Drops a job in the store, as a watcher of an earlier version does it in the end: without a word of how it ended.
async fn drop_job(world: &World, id: &str) {
    drop_with(world, id, |_| None).await;
}

/// Brings a job to its end, drops and deletes it.
async fn end_job(world: &World, id: &str, failed: u64, conclusion: Conclusion) {
    let last = |count| {
        let job = JobData::submitted(count, QueueName::default_queue(), Source::Plain);
        Some(job.uploaded(failed, conclusion, None))
    };
    drop_with(world, id, last).await;
    delete_job(world, id).await;
}

async fn drop_with(world: &World, id: &str, last: impl FnOnce(u64) -> Option<JobData>) {
    let (store, id) = (store(world), JobId::new(id).unwrap());
    let meta = store.inspect(&id, &Source::Plain).await.unwrap().meta.unwrap();
    let last = last(meta.count);
    let drop = store.drop_job(&id, meta.life, &meta.source, 3600, last.as_ref());
    drop.await.unwrap();
}

fn store(world: &World) -> JobStore {
    let keys = KeyScheme::new(world.prefix()).unwrap();
    JobStore::new(&StoreSettings::new(world.redis_url(), keys)).unwrap()
}
