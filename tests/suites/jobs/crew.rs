//! The daemons of these suites, and what they tell of themselves.

use std::fs;
use std::ops::Deref;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use harness::{Process, Program, World, eventually, is_prime};
use zookeeper_client::{Acls, CreateMode, CreateOptions};

use crate::SOON;

/// How tests create znodes that stay.
pub(crate) const PERSISTENT: CreateOptions<'static> = CreateMode::Persistent.with_acls(Acls::anyone_all());

/// Nobody dies in these tests unless they say so: sessions outlive the pauses of a busy machine.
const CALM: Duration = Duration::from_secs(20);

/// A world in which no session ends by accident.
pub(crate) async fn calm_world() -> World {
    let mut world = World::shared().await.unwrap();
    world.set_session_timeout(CALM);
    world
}

/// An executor that counts how often it ran a task.
pub(crate) struct Executor {
    process: Process,
    executions: PathBuf,
}

impl Deref for Executor {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl Executor {
    /// Starts an executor as it is shipped, and returns when it has registered.
    pub(crate) async fn start(world: &World, name: &str) -> Executor {
        Executor::start_as(world, name, world.executor("").unwrap()).await
    }

    /// Starts an executor as `program`, and returns when it has registered.
    pub(crate) async fn start_as(world: &World, name: &str, program: Program) -> Executor {
        let executions = world.dir().join(format!("{name}.executions"));
        let program = program.env("DISTJOB_TEST_EXECUTIONS", &executions);
        let process = world.start_member(program, name).await.unwrap();
        Executor { process, executions }
    }

    /// How many times it ran a task.
    pub(crate) fn executions(&self) -> u64 {
        let listed = fs::read_to_string(&self.executions).unwrap();
        listed.lines().count() as u64
    }

    /// How many outcomes it recorded.
    pub(crate) async fn recorded(&self) -> u64 {
        metric(self, r#"distjob_tasks_total{outcome="ok"}"#).await
            + metric(self, r#"distjob_tasks_total{outcome="err"}"#).await
    }
}

/// An executor whose handler does as its tasks say: `sleep <ms>`, `fail <message>`; of others it answers the payload.
pub(crate) fn drill(world: &World, toml: &str) -> Program {
    (world.executor(toml).unwrap()).env("DISTJOB_TEST_HANDLER", "drill")
}

/// Starts a watcher and returns when it has registered.
pub(crate) async fn start_watcher(world: &World, name: &str) -> Process {
    (world.start_member(world.watcher("").unwrap(), name).await).unwrap()
}

/// The value of a series, `name` or `name{label="value"}`; 0 when there is none yet.
pub(crate) async fn metric(process: &Process, series: &str) -> u64 {
    let answer = process.admin_get("/metrics").await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    let value = answer
        .body
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.map_or(0, |value| value.parse().unwrap())
}

/// Returns when a series has this value: counting follows what is counted.
#[track_caller]
pub(crate) fn metric_becomes<'a>(
    process: &'a Process,
    series: &'a str,
    expected: u64,
) -> impl Future<Output = ()> + 'a {
    eventually(series, SOON, async move || {
        let value = metric(process, series).await;
        ensure!(
            value == expected,
            "{} has {value} instead of {expected}",
            process.name()
        );
        Ok(())
    })
}

/// What the `prime` handler has to say of a number.
pub(crate) fn verdict(number: u64) -> Result<Vec<u8>, String> {
    Ok(is_prime(number).to_string().into_bytes())
}
