//! One job of very many tasks: how long each of its steps takes, in how much memory, and whether tools that know nothing of
//! distjob can read what comes out.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use harness::Process;

use super::{
    stage::{LIMIT, Stage},
    table::Table,
};
use crate::{
    shell::{command, run},
    steps::Verdict,
};

/// How much memory submitter and watcher may have taken at most, whatever the size of the job.
const MEMORY_MAX: u64 = 128 << 20;

/// How to measure a large job.
#[derive(Debug, Args)]
pub(crate) struct Large {
    /// Its tasks
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    tasks: u64,
    /// Measure what target/release has, without building it again
    #[arg(long)]
    pub(super) as_built: bool,
}

/// Submits, runs and delivers the job twice, as zstd and as zip. The verdict fails when submitter or watcher took more
/// memory than they may; what is missing or wrong in a result is an error.
pub(super) async fn large(order: &Large) -> Result<Verdict> {
    let mut table = Table::default();
    let mut most = 0;
    for (archive, ending) in [("zstd", "jsonl.zst"), ("zip", "zip")] {
        most = most.max(pass(order.tasks, archive, ending, &mut table).await?);
    }
    println!("{table}");
    if most <= MEMORY_MAX {
        return Ok(Verdict::Passed);
    }
    eprintln!(
        "submitter or watcher took {}, more than the {} that they may",
        size(most),
        size(MEMORY_MAX)
    );
    Ok(Verdict::Failed)
}

/// One job from its submission to its result in this archive. Returns the most memory that submitter or watcher took.
async fn pass(tasks: u64, archive: &str, ending: &str, table: &mut Table) -> Result<u64> {
    let mut stage = Stage::new().await?;
    let mut tell =
        |what: &str, figure: String| table.figure(&format!("{archive}, {tasks} tasks: {what}"), figure);
    let input = write_numbers(&stage.world().dir().join("tasks"), tasks)?;

    let begun = Instant::now();
    let submitter = stage.submitter("primes", &input)?;
    let ids = submitter.succeeded(LIMIT).await?;
    tell("submitted", rate(tasks, begun.elapsed()));
    let most = tell_memory("submitter", &submitter, &mut tell)?;
    let [id] = &ids[..] else {
        bail!("{} jobs instead of one", ids.len());
    };
    tell("redis with its tasks", size(stage.redis_memory().await?));

    let begun = Instant::now();
    stage
        .executor("[executor]\nqueues = [\"primes\"]\nslots = 2\n")
        .await?;
    stage.done(&ids).await?;
    tell("run, 2 slots of the built-in prime", rate(tasks, begun.elapsed()));
    tell_memory("executor", &stage.executors()[0], &mut tell)?;
    stage.clear().await?;
    tell("redis with tasks and outcomes", size(stage.redis_memory().await?));

    let results = stage.world().sink();
    let begun = Instant::now();
    let watcher = stage
        .watcher(&format!(
            "[sink]\ndirectory = {results:?}\n\n[queue]\narchive = {archive:?}\n"
        ))
        .await?;
    stage.gone(id).await?;
    tell("delivered", rate(tasks, begun.elapsed()));
    let most = most.max(tell_memory("watcher", &watcher, &mut tell)?);
    watcher.stop(Duration::from_secs(60)).await?;

    let result = results.join(format!("primes/{id}.{ending}"));
    let bytes = result
        .metadata()
        .with_context(|| format!("look at {}", result.display()));
    tell("result", size(bytes?.len()));
    let begun = Instant::now();
    is_readable(&result, archive, tasks)?;
    tell("read by standard tools in", format!("{:.0?}", begun.elapsed()));
    Ok(most)
}

fn tell_memory(who: &str, process: &Process, tell: &mut impl FnMut(&str, String)) -> Result<u64> {
    let peak = process.peak_memory()?;
    tell(&format!("most memory of the {who}"), size(peak));
    Ok(peak)
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
    let mut check: Command = command("bash", ["-c", &script]);
    check.arg(result);
    run(check).with_context(|| format!("read {} with standard tools", result.display()))
}

fn rate(tasks: u64, time: Duration) -> String {
    let seconds = time.as_secs_f64();
    format!("{seconds:.1} s, {:.0}/s", tasks as f64 / seconds)
}

fn size(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
