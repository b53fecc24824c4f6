//! Jobs whose every result is known beforehand, daemons to work on them, and the check that all came out right.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use harness::audit::Ledger;
use harness::{Delivered, Process, Program, World, eventually, is_delivered};
use redis::AsyncCommands as _;

use crate::audit::audit;

/// For what takes some seconds on an idle machine.
pub(crate) const SOON: Duration = Duration::from_secs(40);

/// A job of the executors' drill handler: each of its tasks says what becomes of it.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) id: String,
    pub(crate) tasks: Vec<String>,
}

impl Job {
    /// `count` tasks that are their own values, no two alike in any job: a result that strays is seen.
    pub(crate) fn echo(world: &World, stem: &str, count: usize) -> Job {
        let id = world.job_id(stem);
        let tasks = (0..count).map(|index| format!("{id}/{index}")).collect();
        Job { id, tasks }
    }

    /// Tasks such as `sleep 20`, `fail so` and `abort`.
    pub(crate) fn of<T: Into<String>>(world: &World, stem: &str, tasks: impl IntoIterator<Item = T>) -> Job {
        Job {
            id: world.job_id(stem),
            tasks: tasks.into_iter().map(Into::into).collect(),
        }
    }

    /// Submits it as a program in any language may.
    pub(crate) async fn submit_plainly(&self, world: &World) {
        world.plain_submit(&self.id, &self.tasks).await.unwrap();
    }

    /// Submits it with the submitter, which may find both stores in any condition and waits for them.
    pub(crate) async fn submit(&self, world: &World) {
        let file = world.dir().join(format!("{}.tasks", self.id));
        fs::write(
            &file,
            self.tasks
                .iter()
                .map(|task| format!("{task}\n"))
                .collect::<String>(),
        )
        .unwrap();
        let args = ["--id", &self.id, "--queue", "default", file.to_str().unwrap()];
        world.submit(&args, SOON).await.unwrap();
    }

    /// Whether it was delivered: every task once, in order, with the outcome that it must have.
    pub(crate) fn check(&self, world: &World) -> Result<()> {
        for line in world.delivered_whole("default", &self.id, &self.tasks)? {
            let is_right = is_right(&line);
            ensure!(is_right, "job {}: a wrong outcome: {line:?}", self.id);
        }
        Ok(())
    }
}

fn is_right(line: &Delivered) -> bool {
    let task = String::from_utf8_lossy(&line.task);
    match (task.split_once(' ').unwrap_or((&*task, "")), &line.outcome) {
        (("sleep", _), Ok(value)) => value == b"slept",
        (("fail", message), Err(error)) => error == message,
        (("abort", _), Err(error)) => error.starts_with("given up"),
        (("sleep" | "fail" | "abort", _), _) => false,
        (_, outcome) => outcome.as_deref() == Ok(task.as_bytes()),
    }
}

/// `count` jobs of `tasks` tasks on average, all submitted: every third by the submitter, the others plainly. The first
/// has half as many, the last half as many more: jobs take turns, so equal ones would all end at the same moment.
pub(crate) async fn submitted(world: &World, count: usize, tasks: usize) -> Vec<Job> {
    let steps = count.saturating_sub(1).max(1);
    let job = |number| Job::echo(world, "echo", tasks / 2 + tasks * number / steps);
    let jobs: Vec<Job> = (0..count).map(job).collect();
    // Those of the submitter come first: it takes its time to start, and there has to be work when the last is submitted.
    for job in jobs.iter().step_by(3) {
        job.submit(world).await;
    }
    for (_, job) in jobs.iter().enumerate().filter(|(number, _)| number % 3 != 0) {
        job.submit_plainly(world).await;
    }
    jobs
}

/// An executor of two slots whose tasks take 2 ms and more, with `more` lines in its table.
pub(crate) fn executor(world: &World, more: &str) -> Program {
    let table = format!("[executor]\nslots = 2\ngrace_period = \"10s\"\n{more}\n");
    world
        .executor(&table)
        .unwrap()
        .env("DISTJOB_TEST_HANDLER", "drill")
        .env("DISTJOB_TEST_TASK_DELAY_US", "2000")
        .env("DISTJOB_REDIS__RESPONSE_TIMEOUT", "2s")
}

/// A watcher with `more` lines in its table.
pub(crate) fn watcher(world: &World, more: &str) -> Program {
    let table = format!("[watcher]\ngrace_period = \"10s\"\nretry_max = \"2s\"\n{more}\n");
    world
        .watcher(&table)
        .unwrap()
        .env("DISTJOB_REDIS__RESPONSE_TIMEOUT", "2s")
}

/// Starts `executors` and `watchers` of them, and returns when all have registered.
pub(crate) async fn fleet(world: &World, executors: usize, watchers: usize) -> Vec<Process> {
    let mut fleet = Vec::new();
    for number in 1..=executors {
        fleet.push(
            world
                .start(executor(world, ""), &format!("executor-{number}"))
                .unwrap(),
        );
    }
    for number in 1..=watchers {
        fleet.push(
            world
                .start(watcher(world, ""), &format!("watcher-{number}"))
                .unwrap(),
        );
    }
    for process in &fleet {
        world.registered(process).await.unwrap();
    }
    fleet
}

/// Returns when at least one of the jobs was delivered, and panics when all were: the test that follows needs work.
pub(crate) async fn in_full_swing(world: &World, jobs: &[Job]) {
    let delivered = eventually("a job is delivered", SOON, async || {
        let delivered = jobs.iter().filter(|job| job.check(world).is_ok()).count();
        ensure!(delivered > 0, "none");
        Ok(delivered)
    })
    .await;
    assert!(delivered < jobs.len(), "all was done before the fault");
}

/// Returns when all jobs have ended and nothing of them is left, and checks every result, and, where ZooKeeper is the
/// world's own, every write to the ledger.
pub(crate) async fn all_right(world: &World, jobs: &[Job]) {
    world.drained(SOON).await.unwrap();
    jobs.iter().for_each(|job| job.check(world).unwrap());
    no_partial_files(world).await;
    if world.zookeeper().is_ok() {
        let ledger = audit(world);
        jobs.iter().for_each(|job| delivered_once(&ledger, job));
    }
}

fn delivered_once(ledger: &Ledger, job: &Job) {
    let lives = &ledger.jobs[&job.id];
    let states = &lives[0].states;
    assert!(
        lives.len() == 1 && states.last().is_some_and(|state| state == "uploaded"),
        "job {}: {lives:?}",
        job.id
    );
}

/// Returns when no file is left that a watcher began and did not finish.
pub(crate) async fn no_partial_files(world: &World) {
    eventually("no partial file is left", SOON, async || {
        let left = partial_files(&world.sink())?;
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    })
    .await;
}

/// All files below the sink that are neither results nor their manifests.
fn partial_files(directory: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    if !directory.is_dir() {
        return Ok(found);
    }
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(partial_files(&path)?);
        } else if !is_delivered(&path) {
            found.push(path.display().to_string());
        }
    }
    Ok(found)
}

/// Returns when the member `name` holds a lease.
pub(crate) async fn holds_a_lease(world: &World, name: &str) {
    eventually("it holds a lease", SOON, async || {
        let mut redis = world.redis().await?;
        for key in world
            .keys()
            .await?
            .iter()
            .filter(|key| key.name.ends_with(":leases"))
        {
            let holders: Vec<String> = redis.hkeys(&key.name).await?;
            if holders.iter().any(|holder| holder.ends_with(&format!(".{name}"))) {
                return Ok(());
            }
        }
        anyhow::bail!("{name} holds nothing")
    })
    .await;
}

/// Returns the new name of `process` when it has registered under another one than `before`.
pub(crate) async fn renamed(world: &World, process: &Process, before: &str) -> String {
    eventually("it registers under a new name", SOON, async || {
        let name = world.registered(process).await?.name;
        ensure!(name != before, "still {before}");
        Ok(name)
    })
    .await
}

/// Returns when the member `name` is not registered any more.
pub(crate) async fn gone(world: &World, name: &str) {
    eventually("its session ends", SOON, async || {
        let mut members = world.executors().await?;
        members.extend(world.watchers().await?);
        ensure!(
            members.iter().all(|member| member.name != name),
            "{name} is there"
        );
        Ok(())
    })
    .await;
}

/// The value of one of a daemon's metrics, such as `distjob_commits_refused_total` or `distjob_tasks_total{outcome="ok"}`.
pub(crate) async fn metric(process: &Process, name: &str) -> u64 {
    let metrics = process.admin_get("/metrics").await.unwrap().body;
    let value = metrics
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
        .unwrap_or_else(|| panic!("no {name} in:\n{metrics}"));
    value.parse().unwrap()
}
