//! What Redis keeps of a job, beside the same data raw.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use harness::AppendOnly;
use redis::aio::MultiplexedConnection;
use tokio::time::sleep;

use crate::{
    bench::Bench,
    jobs::Jobs,
    report::{Report, Row},
    stage::{LIMIT, Stage},
};

/// Bytes of a payload, and of the value that comes out of it.
const SIZES: [usize; 3] = [10, 100, 1_000];

/// Between two looks at how much memory Redis has taken.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// A handler whose values are the payloads; each of its processes runs so many tasks.
const ECHO: &str = "[executor]\nqueues = [\"default\"]\nslots = 2\n\n\
    [queue]\nhandler = \"command\"\n\n\
    [queue.command]\nargv = [\"/bin/cat\"]\ntasks_per_process = 1000\n";

/// Bytes a task.
struct Bytes {
    /// When it was submitted.
    at_rest: f64,
    /// The most while it was run, with all that Redis has for its connections and for itself.
    running: f64,
    /// Its outcome, when all have theirs.
    outcome: f64,
    /// It and its outcome.
    done: f64,
    /// The same in a list, and in a hash with a field for each outcome.
    naive: f64,
}

/// Measures one job of each size of payloads.
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let tasks = bench.count(20_000, 200);
    for size in SIZES {
        let bytes = one(bench, tasks, size).await?;
        let raw = [size as f64];
        let about = format!("Redis bytes a task, {size} B payloads");
        let row = |what: &str, value: f64| Row::new(format!("{about}: {what}"), "B", [value]);
        report.row(row("submitted", bytes.at_rest).against("raw payload", raw));
        report.row(
            row("most while it runs", bytes.running).against("payload and value raw", [2.0 * size as f64]),
        );
        report.row(
            row("packed outcome", bytes.outcome)
                .against("raw value", raw)
                .at_most(1.5),
        );
        report.row(row("payload and outcome", bytes.done).against("naive: list, hash", [bytes.naive]));
    }
    Ok(())
}

/// Submits a job, lets it be run, and looks at it before, meanwhile and after. Nobody delivers it.
async fn one(bench: &Bench, tasks: usize, size: usize) -> Result<Bytes> {
    let mut stage = bench.stage(AppendOnly::No).await?;
    let mut redis = stage.world().redis().await?;
    let payloads = (0..tasks).map(|task| format!("{task:x<size$}"));
    let naive = naive(&mut redis, payloads.clone()).await?;
    let file = stage.tasks("tasks", payloads)?;
    let before = stage.redis_memory().await?;
    let jobs = stage.submit("default", &file, tasks).await?;
    let [job] = &jobs[..] else {
        anyhow::bail!("{} jobs instead of one", jobs.len());
    };
    let prefix = stage.world().prefix();
    let keys =
        ["meta", "tasks", "leases", "freed", "results"].map(|part| format!("{prefix}{{{job}}}:{part}"));
    let at_rest = memory_of(&mut redis, &keys).await?;
    let steps = stage.jobs().await?;
    stage.executor(ECHO).await?;
    let most = most_until_done(&stage, steps, &jobs).await?;
    let done = memory_of(&mut redis, &keys).await?;
    let outcomes = memory_of(&mut redis, &keys[4..]).await?;
    ensure!(
        at_rest > 0 && outcomes > 0,
        "the job's keys are not where they should be"
    );
    stage.clear().await?;
    let each = |bytes: u64| bytes as f64 / tasks as f64;
    Ok(Bytes {
        at_rest: each(at_rest),
        running: each(most.saturating_sub(before)),
        outcome: each(outcomes),
        done: each(done),
        naive: each(naive),
    })
}

/// The most memory that Redis has taken at any look until these jobs are done.
async fn most_until_done(stage: &Stage, mut steps: Jobs, jobs: &[String]) -> Result<u64> {
    let mut most = 0;
    let done = steps.done(jobs, LIMIT);
    tokio::pin!(done);
    loop {
        most = most.max(stage.redis_memory().await?);
        tokio::select! {
            biased;
            done = &mut done => return done.map(|()| most),
            () = sleep(LOOK_EVERY) => {}
        }
    }
}

/// How much these keys take, those that are there.
async fn memory_of(redis: &mut MultiplexedConnection, keys: &[String]) -> Result<u64> {
    let mut sum = 0;
    for key in keys {
        let bytes: Option<u64> = redis::cmd("MEMORY")
            .arg("USAGE")
            .arg(key)
            .arg("SAMPLES")
            .arg(0)
            .query_async(redis)
            .await
            .with_context(|| format!("measure {key}"))?;
        sum += bytes.unwrap_or(0);
    }
    Ok(sum)
}

/// What the tasks take as a list, and as many outcomes, the same bytes, as a hash with a field for each.
async fn naive(redis: &mut MultiplexedConnection, tasks: impl Iterator<Item = String>) -> Result<u64> {
    let keys = ["naive:tasks", "naive:results"].map(str::to_owned);
    for (index, task) in tasks.enumerate() {
        let () = redis::pipe()
            .rpush(&keys[0], &task)
            .ignore()
            .hset(&keys[1], index, &task)
            .ignore()
            .query_async(redis)
            .await?;
    }
    let bytes = memory_of(redis, &keys).await?;
    let _: u64 = redis::cmd("DEL").arg(&keys).query_async(redis).await?;
    Ok(bytes)
}
