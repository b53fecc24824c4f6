//! One job of very many tasks: how long each of its steps takes, in how much memory, and whether tools that know nothing of
//! distjob can read what comes out.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use harness::{AppendOnly, Process};

use crate::{
    bench::Bench,
    report::{Report, Row},
    stage::LIMIT,
};

/// How much memory submitter and watcher may take at most, whatever the size of the job.
const MEMORY_MAX: f64 = (128 << 20) as f64;

/// A task of the large job may take so many times as long as one of a job of a tenth of its tasks: it should be the same.
const GROWTH_MAX: f64 = 1.25;

/// What a task took of the time of each step, in microseconds.
struct Steps {
    submission: f64,
    run: f64,
    delivery: f64,
}

/// Submits, runs and delivers the job twice, as zstd and as zip, and one of a tenth of its tasks. What is missing or wrong in
/// a result is an error.
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let tasks = bench.tasks(10_000_000, 20_000) as u64;
    let few = pass(bench, tasks.div_ceil(10), "zstd", "jsonl.zst", report).await?;
    let many = pass(bench, tasks, "zstd", "jsonl.zst", report).await?;
    pass(bench, tasks, "zip", "zip", report).await?;
    for (what, many, few) in [
        ("submit", many.submission, few.submission),
        ("run", many.run, few.run),
        ("deliver", many.delivery, few.delivery),
    ] {
        let row = Row::new(format!("{tasks} tasks: to {what} one"), "µs", [many]);
        let row = row.against(format!("of {} tasks", tasks.div_ceil(10)), [few]);
        report.row(row.at_most(GROWTH_MAX));
    }
    Ok(())
}

/// One job from its submission to its result in this archive.
async fn pass(bench: &Bench, tasks: u64, archive: &str, ending: &str, report: &mut Report) -> Result<Steps> {
    let mut stage = bench.stage(AppendOnly::No).await?;
    let mut steps = stage.jobs().await?;
    let row = |what: &str, unit: &'static str, value: f64| {
        Row::new(format!("{archive}, {tasks} tasks: {what}"), unit, [value])
    };
    let input = write_numbers(&stage.world().dir().join("tasks"), tasks)?;

    let begun = Instant::now();
    let submitter = stage.submitter(&["--queue", "primes"]).arg(&input).watch_memory();
    let submitter = stage.world().start(submitter, "submitter")?;
    let ids = submitter.succeeded(LIMIT).await?;
    let submission = begun.elapsed();
    report.row(row("submitted", "tasks/s", rate(tasks, submission)));
    report.row(row("most memory of the submitter", "B", memory(&submitter)?).at_most(MEMORY_MAX));
    let [id] = &ids[..] else {
        bail!("{} jobs instead of one", ids.len());
    };
    report.row(row(
        "redis with its tasks",
        "B",
        stage.redis_memory().await? as f64,
    ));

    let begun = Instant::now();
    stage
        .executor("[executor]\nqueues = [\"primes\"]\nslots = 2\n")
        .await?;
    steps.done(&ids, LIMIT).await?;
    let run = begun.elapsed();
    report.row(row(
        "run, 2 slots of the built-in prime",
        "tasks/s",
        rate(tasks, run),
    ));
    report.row(row(
        "most memory of the executor",
        "B",
        memory(&stage.members()[0])?,
    ));
    stage.clear().await?;
    report.row(row(
        "redis with tasks and outcomes",
        "B",
        stage.redis_memory().await? as f64,
    ));

    let begun = Instant::now();
    stage
        .watcher(&format!("[queue]\narchive = {archive:?}\n"))
        .await?;
    steps.gone(1, LIMIT).await?;
    let delivery = begun.elapsed();
    report.row(row("delivered", "tasks/s", rate(tasks, delivery)));
    report.row(row("most memory of the watcher", "B", memory(&stage.members()[0])?).at_most(MEMORY_MAX));
    stage.clear().await?;

    let result = stage.world().sink().join(format!("primes/{id}.{ending}"));
    let about = result
        .metadata()
        .with_context(|| format!("look at {}", result.display()))?;
    report.row(row("result", "B", about.len() as f64));
    let begun = Instant::now();
    is_readable(&result, archive, tasks)?;
    report.row(row(
        "read by standard tools in",
        "s",
        begun.elapsed().as_secs_f64(),
    ));
    let of_one = |time: Duration| time.as_secs_f64() * 1e6 / tasks as f64;
    Ok(Steps {
        submission: of_one(submission),
        run: of_one(run),
        delivery: of_one(delivery),
    })
}

fn memory(process: &Process) -> Result<f64> {
    Ok(process.peak_memory()? as f64)
}

fn rate(tasks: u64, time: Duration) -> f64 {
    tasks as f64 / time.as_secs_f64()
}

/// Numbers from 0 on, a line each.
fn write_numbers(path: &Path, count: u64) -> Result<PathBuf> {
    let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
    let mut lines = BufWriter::new(file);
    (0..count)
        .try_for_each(|number| writeln!(lines, "{number}"))
        .and_then(|()| lines.flush())
        .with_context(|| format!("write {}", path.display()))?;
    Ok(path.to_owned())
}

/// Reads the result with nothing but what any system has: every index is there once, in order, beside its own task, and the
/// sum of the file is that of its manifest.
fn is_readable(result: &Path, archive: &str, tasks: u64) -> Result<()> {
    let rows = match archive {
        "zstd" => "zstd -dc \"$0\"",
        _ => "unzip -tq \"$0\" >&2 && unzip -p \"$0\" '*.jsonl'",
    };
    let script = format!(
        "set -euo pipefail\n\
         {{ {rows}; }} | jq -r '\"\\(.index) \\(.task)\"' |\n\
         cmp - <(seq 0 {last} | paste -d ' ' - <(seq 0 {last}))\n\
         manifest=${{0%%.jsonl*}} manifest=${{manifest%.zip}}.manifest.json\n\
         echo \"$(jq -r .sha256 \"$manifest\")  $0\" | sha256sum --quiet --check -\n",
        last = tasks - 1,
    );
    let status = Command::new("bash").args(["-c", &script]).arg(result).status();
    ensure!(
        status.context("run bash")?.success(),
        "standard tools cannot read {}",
        result.display()
    );
    Ok(())
}
