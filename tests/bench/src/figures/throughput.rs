//! Trivial tasks a second: from the start of the submitter to the last delivered file.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use harness::AppendOnly;

use crate::{
    bench::Bench,
    floors::{
        least::Least,
        redis::{Naive, Results},
    },
    rate::{each_us, per_second},
    report::{Line, Report, Row, Scale, Series},
    stage::{LIMIT, Stage},
};

/// Tasks of a job.
pub(crate) const JOB: usize = 5_000;

/// Measures with and without an append-only file.
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    for append_only in [AppendOnly::No, AppendOnly::EverySecond] {
        with(bench, append_only, report).await?;
    }
    Ok(())
}

/// A cluster that is there when a job comes: one executor and one watcher with their defaults.
pub(crate) async fn cluster(bench: &Bench, append_only: AppendOnly) -> Result<Stage> {
    let mut stage = bench.stage(append_only).await?;
    stage.executor("").await?;
    stage.watcher("").await?;
    Ok(stage)
}

/// Submits so many trivial tasks as jobs of [`JOB`], and returns how long it took until all of them were delivered: their
/// files durable, their znodes gone.
pub(crate) async fn run(stage: &Stage, tasks: usize) -> Result<Duration> {
    run_jobs_of(JOB, stage, tasks).await
}

/// Runs jobs in vain: files are read, pages are touched, and ZooKeeper, which in a deployment has run for days, compiles its own
/// code, which otherwise is a third of all processor time.
pub(crate) async fn warm_up(bench: &Bench, stage: &Stage) -> Result<()> {
    run_jobs_of(1, stage, bench.count(3_000, 10)).await?;
    for _ in 0..bench.count(5, 1) {
        run(stage, bench.tasks(500_000, 10_000)).await?;
    }
    Ok(())
}

/// As [`run`], with so many tasks a job.
pub(crate) async fn run_jobs_of(size: usize, stage: &Stage, tasks: usize) -> Result<Duration> {
    let file = stage.tasks("trivial", (0..tasks).map(|task| (task % 100).to_string()))?;
    let mut steps = stage.jobs().await?;
    let (count, before) = (tasks.div_ceil(size), stage.delivered("primes")?);
    let begun = Instant::now();
    let (ids, gone) = tokio::try_join!(stage.submit("primes", &file, size), steps.gone(count, LIMIT))?;
    let end = gone.values().max().copied().unwrap_or(begun);
    ensure!(ids.len() == count, "{} jobs instead of {count}", ids.len());
    stage.ensure_delivered("primes", before + count)?;
    Ok(end - begun)
}

/// Pairs by turns, ours first.
#[derive(Default)]
struct Pairs {
    one_by_one: Vec<(f64, f64)>,
    batched: Vec<(f64, f64)>,
    least: Vec<(f64, f64)>,
    cpu: Vec<(f64, f64)>,
    cpu_least: Vec<(f64, f64)>,
}

async fn with(bench: &Bench, append_only: AppendOnly, report: &mut Report) -> Result<()> {
    let told = told(append_only);
    let tasks = bench.tasks(500_000, 10_000);
    let stage = cluster(bench, append_only).await?;
    let mut naive = Naive::connect(stage.world()).await?;
    let mut least = Least::connect(stage.world()).await?;
    let mut pairs = Pairs::default();
    warm_up(bench, &stage).await?;
    for _ in 0..bench.rounds() {
        let idle = stage.redis_cpu().await?;
        let ours = per_second(tasks, run(&stage, tasks).await?);
        let after_ours = stage.redis_cpu().await?;
        let floor = per_second(tasks, naive.run(tasks, JOB, Results::OneByOne).await?);
        let after_floor = stage.redis_cpu().await?;
        let batched = per_second(tasks, naive.run(tasks, JOB, Results::Batched).await?);
        let before_least = stage.redis_cpu().await?;
        let least = per_second(tasks, least.run(tasks, JOB).await?);
        let after_least = stage.redis_cpu().await?;
        let cpu = each_us(tasks, after_ours - idle);
        pairs.one_by_one.push((ours, floor));
        pairs.batched.push((ours, batched));
        pairs.least.push((ours, least));
        pairs.cpu.push((cpu, each_us(tasks, after_floor - after_ours)));
        pairs
            .cpu_least
            .push((cpu, each_us(tasks, after_least - before_least)));
    }
    rows(tasks.div_ceil(JOB), told, &pairs, report);
    report.series(by_round(told, &pairs.one_by_one));
    Ok(())
}

fn rows(jobs: usize, told: &str, pairs: &Pairs, report: &mut Report) {
    let naive = "naive, a result a command";
    let least = "the least that Redis has to do";
    report.row(
        Row::pairs(
            format!("submission to files, {jobs} jobs of {JOB}, {told}"),
            "tasks/s",
            naive,
            &pairs.one_by_one,
        )
        .at_least(1.5),
    );
    for (other, pairs) in [("naive, results by 500", &pairs.batched), (least, &pairs.least)] {
        report.row(Row::pairs(format!("the same, {told}"), "tasks/s", other, pairs));
    }
    for (other, pairs) in [(naive, &pairs.cpu), (least, &pairs.cpu_least)] {
        let what = format!("processor time of Redis for a task, {told}");
        report.row(Row::pairs(what, "µs", other, pairs));
    }
}

/// Whether the machine was the same all along.
fn by_round(told: &str, pairs: &[(f64, f64)]) -> Series {
    let line = |name: &str, of: fn(&(f64, f64)) -> f64| Line {
        name: name.to_owned(),
        points: (1..)
            .zip(pairs)
            .map(|(round, pair)| (f64::from(round), of(pair)))
            .collect(),
    };
    Series {
        name: format!("round by round, {told}"),
        x: "round".to_owned(),
        scale: Scale::Linear,
        y: "tasks/s".to_owned(),
        lines: vec![line("distjob", |pair| pair.0), line("naive", |pair| pair.1)],
    }
}

/// How Redis keeps what it has, for the table.
pub(crate) fn told(append_only: AppendOnly) -> &'static str {
    match append_only {
        AppendOnly::No => "appendonly no",
        AppendOnly::EverySecond => "everysec",
        AppendOnly::Always => "always",
    }
}
