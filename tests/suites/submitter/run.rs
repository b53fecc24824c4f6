//! `submitter run`, against real servers.

#[path = "run/http.rs"]
mod http;
#[path = "run/network.rs"]
mod network;
#[path = "run/pressure.rs"]
mod pressure;
#[path = "run/redis_intake.rs"]
mod redis_intake;
#[path = "run/service.rs"]
mod service;
#[path = "run/socket.rs"]
mod socket;
#[path = "run/spool.rs"]
mod spool;

use anyhow::ensure;
use harness::{Process, Program, World, eventually, unique};

use crate::SOON;

/// `submitter run` with these tables.
pub(crate) fn program(world: &World, tables: &str) -> Program {
    world.daemon("submitter", tables).unwrap().arg("run")
}

/// Starts it, and waits until it is ready.
pub(crate) async fn serve(world: &World, tables: &str) -> Process {
    let process = world
        .start(program(world, tables), &format!("service-{}", unique()))
        .unwrap();
    ready(&process).await;
    process
}

/// Waits until it is ready.
pub(crate) async fn ready(process: &Process) {
    eventually("the service is ready", SOON, async || {
        let answer = process.admin_get("/readyz").await?;
        ensure!(answer.status == 200, "{}", answer.body);
        Ok(())
    })
    .await;
}

/// The ids of the jobs when there are so many.
pub(crate) async fn jobs(world: &World, count: usize) -> Vec<String> {
    eventually("the jobs are there", SOON, async || {
        let jobs: Vec<_> = world.jobs().await?.into_keys().collect();
        ensure!(jobs.len() == count, "{jobs:?}");
        Ok(jobs)
    })
    .await
}
