//! How many tasks a second.

use std::{
    fs::File,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

use super::{Handlers, stage::Stage, table::Table};
use crate::shell::root;

/// As many as there are for `xargs -P`.
const SLOTS: usize = 2;

/// A process for each task, as `xargs -P 2 -n 1` starts them.
pub(super) async fn processes(order: &Handlers, table: &mut Table) -> Result<()> {
    for program in ["/bin/true", "/bin/echo"] {
        let mut stage = Stage::new().await?;
        let tasks = stage.tasks("tasks", numbers(order.tasks))?;
        stage.executor(&command(&[program, "{task}"])).await?;
        // Once in vain, so that nobody has to read programs from the disk.
        xargs(&[program], &tasks).await?;
        let mut pairs = Vec::new();
        for _ in 0..order.rounds {
            let theirs = xargs(&[program], &tasks).await?;
            let ours = stage.run("default", &tasks).await?;
            pairs.push((rate(order.tasks, ours), rate(order.tasks, theirs)));
        }
        stage.clear().await?;
        table.rates(&format!("command {program} / xargs -P 2 -n 1 {program}"), &pairs);
    }
    Ok(())
}

/// A worker that stays, against the same program started for each task.
pub(super) async fn workers(order: &Handlers, table: &mut Table) -> Result<()> {
    let example = root().join("deploy/examples/workers/worker.py");
    let example = example.to_str().context("the path is no text")?;
    let (many, few) = (order.tasks * 10, order.tasks / 20);
    for in_flight in [1, 16] {
        let mut stage = Stage::new().await?;
        let (for_us, for_them) = (
            stage.tasks("many", numbers(many))?,
            stage.tasks("few", numbers(few))?,
        );
        let argv = ["/usr/bin/python3", example];
        stage
            .executor(&format!(
                "{}handler = \"worker\"\n[queue.worker]\nargv = {argv:?}\nin_flight = {in_flight}\n",
                executor()
            ))
            .await?;
        let mut pairs = Vec::new();
        for _ in 0..order.rounds {
            let theirs = xargs(&argv, &for_them).await?;
            let ours = stage.run("default", &for_us).await?;
            pairs.push((rate(many, ours), rate(few, theirs)));
        }
        stage.clear().await?;
        table.rates(
            &format!("worker, Python, in_flight = {in_flight} / xargs with it for each task"),
            &pairs,
        );
    }
    Ok(())
}

/// A function on a thread: 100 jobs of 5,000 numbers, which wait when the executor comes.
pub(super) async fn functions(order: &Handlers, table: &mut Table) -> Result<()> {
    let mut stage = Stage::new().await?;
    let tasks = stage.tasks("tasks", (0..500_000_u64).map(|n| (5_000 + n * 179).to_string()))?;
    let mut rates = Vec::new();
    for _ in 0..order.rounds {
        let jobs = stage.submit("primes", &tasks, 5_000).await?;
        ensure!(jobs.len() == 100, "{} jobs", jobs.len());
        stage
            .executor("[executor]\nqueues = [\"primes\"]\nslots = 2\n")
            .await?;
        let begun = Instant::now();
        stage.done(&jobs).await?;
        rates.push(rate(500_000, begun.elapsed()));
        stage.clear().await?;
    }
    table.rate("prime, 100 jobs of 5,000", rates);
    Ok(())
}

/// The configuration of an executor that runs a process for each task, with `argv`.
pub(super) fn command(argv: &[&str]) -> String {
    format!(
        "{}handler = \"command\"\n[queue.command]\nargv = {argv:?}\n",
        executor()
    )
}

/// An executor with two slots, up to its table `queue`.
pub(super) fn executor() -> String {
    format!("[executor]\nqueues = [\"default\"]\nslots = {SLOTS}\n\n[queue]\n")
}

fn numbers(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|number| number.to_string())
}

fn rate(tasks: usize, time: Duration) -> f64 {
    tasks as f64 / time.as_secs_f64()
}

/// How long xargs takes to run a program for each line.
async fn xargs(program: &[&str], tasks: &Path) -> Result<Duration> {
    let mut command = Command::new("xargs");
    command
        .args(["-P", &SLOTS.to_string(), "-n", "1"])
        .args(program)
        .stdin(File::open(tasks).context("open the tasks")?)
        .stdout(Stdio::null());
    let begun = Instant::now();
    let status = tokio::task::spawn_blocking(move || command.status())
        .await?
        .context("run xargs")?;
    ensure!(status.success(), "xargs ended with {status}");
    Ok(begun.elapsed())
}
