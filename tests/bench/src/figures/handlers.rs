//! Handlers, beside what a person would use instead.

use std::{
    fs::File,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use harness::AppendOnly;

use crate::{
    bench::Bench,
    rate::per_second,
    report::{Report, Row},
    stage::LIMIT,
};

/// As many as there are for `xargs -P`.
const SLOTS: usize = 2;

/// Processes, workers and functions.
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    processes(bench, report).await?;
    workers(bench, report).await?;
    functions(bench, report).await
}

/// A process for each task, as `xargs -P 2 -n 1` starts them.
async fn processes(bench: &Bench, report: &mut Report) -> Result<()> {
    let count = bench.tasks(5_000, 50);
    for program in ["/bin/true", "/bin/echo"] {
        let mut stage = bench.stage(AppendOnly::No).await?;
        let tasks = stage.tasks("tasks", numbers(count))?;
        stage.executor(&command(&[program, "{task}"])).await?;
        // Once in vain, so that nobody has to read programs from the disk.
        xargs(&[program], &tasks).await?;
        let mut pairs = Vec::new();
        for _ in 0..bench.rounds() {
            let theirs = xargs(&[program], &tasks).await?;
            let ours = stage.run("default", &tasks).await?;
            pairs.push((per_second(count, ours), per_second(count, theirs)));
        }
        stage.clear().await?;
        report.row(Row::pairs(
            format!("command {program}"),
            "tasks/s",
            format!("xargs -P 2 -n 1 {program}"),
            &pairs,
        ));
    }
    Ok(())
}

/// A worker that stays, against the same program started for each task.
async fn workers(bench: &Bench, report: &mut Report) -> Result<()> {
    let example = crate::root().join("deploy/examples/workers/worker.py");
    let example = example.to_str().context("the path is no text")?;
    let tasks = bench.tasks(5_000, 40);
    let (many, few) = (tasks * 10, tasks / 20);
    for in_flight in [1, 16] {
        let mut stage = bench.stage(AppendOnly::No).await?;
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
        for _ in 0..bench.rounds() {
            let theirs = xargs(&argv, &for_them).await?;
            let ours = stage.run("default", &for_us).await?;
            pairs.push((per_second(many, ours), per_second(few, theirs)));
        }
        stage.clear().await?;
        report.row(Row::pairs(
            format!("worker, Python, in_flight = {in_flight}"),
            "tasks/s",
            "xargs with it for each task",
            &pairs,
        ));
    }
    Ok(())
}

/// A function on a thread: jobs of 5,000 numbers, which wait when the executor comes.
async fn functions(bench: &Bench, report: &mut Report) -> Result<()> {
    let count = bench.count(500_000, 10_000);
    let mut stage = bench.stage(AppendOnly::No).await?;
    let tasks = stage.tasks("tasks", (0..count).map(|n| (5_000 + n * 179).to_string()))?;
    let mut rates = Vec::new();
    for _ in 0..bench.rounds() {
        let jobs = stage.submit("primes", &tasks, 5_000).await?;
        ensure!(jobs.len() == count / 5_000, "{} jobs", jobs.len());
        let mut steps = stage.jobs().await?;
        stage
            .executor("[executor]\nqueues = [\"primes\"]\nslots = 2\n")
            .await?;
        let begun = Instant::now();
        steps.done(&jobs, LIMIT).await?;
        rates.push(per_second(count, begun.elapsed()));
        stage.clear().await?;
    }
    let what = format!("function: prime, {} waiting jobs of 5,000", count / 5_000);
    report.row(Row::new(what, "tasks/s", rates));
    Ok(())
}

/// The configuration of an executor that runs a process for each task, with `argv`.
pub(crate) fn command(argv: &[&str]) -> String {
    format!(
        "{}handler = \"command\"\n[queue.command]\nargv = {argv:?}\n",
        executor()
    )
}

/// An executor with two slots, up to its table `queue`.
fn executor() -> String {
    format!("[executor]\nqueues = [\"default\"]\nslots = {SLOTS}\n\n[queue]\n")
}

fn numbers(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|number| number.to_string())
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
