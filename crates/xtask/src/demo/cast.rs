//! The programs of the demo, under names that a person can follow.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use harness::{Process, World};

/// Well over the grace period of the daemons.
const LEAVES_WITHIN: Duration = Duration::from_secs(20);

/// One task at a time makes it plain who works on what.
const EXECUTOR: &str = "[executor]\nslots = 1\n";
/// The tasks of the article are so small that all batches together would be done in a blink. A test hook of debug builds
/// makes each take longer: 20,000 tasks on three executors then keep them busy for about 20 seconds.
const TASK_DELAY: (&str, &str) = ("DISTJOB_TEST_TASK_DELAY_US", "3000");

/// A daemon that was started.
#[derive(Clone)]
pub(super) struct Actor {
    /// How the demo calls it: `executor 2`.
    pub(super) label: String,
    /// The znode by which it is a member.
    pub(super) member: String,
    /// Shared with whoever is to kill it.
    pub(super) process: Arc<Process>,
}

/// The daemons that were started, also those that were killed since.
#[derive(Default)]
pub(super) struct Cast {
    actors: BTreeMap<String, Actor>,
}

impl Cast {
    /// Starts an executor and returns when it has registered.
    pub(super) async fn executor(&mut self, world: &World, number: usize) -> Result<()> {
        let program = world.executor(EXECUTOR)?.env(TASK_DELAY.0, TASK_DELAY.1);
        let process = world.start(program, &format!("executor-{number}"))?;
        self.enter(world, format!("executor {number}"), process).await
    }

    /// Starts a watcher and returns when it has registered.
    pub(super) async fn watcher(&mut self, world: &World, number: usize) -> Result<()> {
        let process = world.start(world.watcher("")?, &format!("watcher-{number}"))?;
        self.enter(world, format!("watcher {number}"), process).await
    }

    async fn enter(&mut self, world: &World, label: String, process: Process) -> Result<()> {
        let member = world.registered(&process).await?.name;
        println!("  {label} is process {} and znode {member}", process.pid());
        self.actors.insert(
            label.clone(),
            Actor {
                label,
                member,
                process: Arc::new(process),
            },
        );
        Ok(())
    }

    /// Those whose label begins with `role`, in order.
    pub(super) fn all(&self, role: &str) -> impl Iterator<Item = &Actor> {
        self.actors
            .values()
            .filter(move |actor| actor.label.starts_with(role))
    }

    /// Kills one with SIGKILL, so that it can tell nobody.
    pub(super) async fn kill(&self, label: &str) -> Result<()> {
        self.actors
            .get(label)
            .with_context(|| format!("there is no {label}"))?
            .process
            .kill()
            .await
    }

    /// Asks all that still run to leave, with SIGTERM, and waits until they have left with status 0.
    pub(super) async fn dismiss(&self) -> Result<usize> {
        let running = || {
            self.actors
                .values()
                .filter(|actor| actor.process.exit_status().is_none())
        };
        let leaving: Vec<&Actor> = running().collect();
        for actor in &leaving {
            actor.process.terminate()?;
        }
        for Actor { label, process, .. } in &leaving {
            process
                .succeeded(LEAVES_WITHIN)
                .await
                .with_context(|| format!("wait for {label} to leave"))?;
        }
        Ok(leaving.len())
    }

    /// How the demo calls the member whose znode has this name.
    pub(super) fn label<'a>(&'a self, member: &'a str) -> &'a str {
        let actor = self.actors.values().find(|actor| actor.member == member);
        actor.map_or(member, |actor| &actor.label)
    }
}
