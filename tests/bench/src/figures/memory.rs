//! What Redis keeps of a job, beside the same data raw.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use harness::{AppendOnly, is_prime};
use redis::aio::MultiplexedConnection;
use tokio::time::sleep;

use crate::{
    bench::Bench,
    jobs::Jobs,
    report::{Report, Row},
    stage::{LIMIT, Stage},
};

/// Bytes of a payload, and of the value that comes out of it: it is the same.
const SIZES: [usize; 3] = [10, 100, 1_000];

/// All payloads of a job together, but for the fewest and most tasks.
const JOB_BYTES: usize = 20_000_000;

/// Between two looks at how much memory Redis has taken.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Commands that are on their way at once.
const BATCH: usize = 500;

/// A handler whose values are the payloads; each of its processes runs so many tasks.
const ECHO: &str = "[queue]\nhandler = \"command\"\n\n\
    [queue.command]\nargv = [\"/bin/cat\"]\ntasks_per_process = 1000\n";

/// What is measured at once.
struct Job {
    about: String,
    handler: &'static str,
    /// Payload and value.
    tasks: Vec<(String, String)>,
}

impl Job {
    /// Tasks of so many bytes, values as large.
    fn echo(bench: &Bench, size: usize) -> Self {
        let count = bench.count((JOB_BYTES / size).clamp(20_000, 200_000), 200);
        let task = |number| format!("{number:x<size$}");
        Self {
            about: format!("payloads and values of {size} B"),
            handler: ECHO,
            tasks: (0..count).map(|number| (task(number), task(number))).collect(),
        }
    }

    /// What the built-in handler is for.
    fn primes(bench: &Bench) -> Self {
        let value = |number| is_prime(number).to_string();
        let numbers = (0..bench.count(200_000, 200) as u64).map(|task| task % 100);
        Self {
            about: "true or false of numbers below 100".to_owned(),
            handler: "[queue]\nhandler = \"prime\"\n",
            tasks: numbers
                .map(|number| (number.to_string(), value(number)))
                .collect(),
        }
    }

    /// The average of what this picks from a task.
    fn each(&self, bytes: impl Fn(&(String, String)) -> usize) -> f64 {
        self.tasks.iter().map(bytes).sum::<usize>() as f64 / self.tasks.len() as f64
    }
}

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

/// Measures one job of each kind.
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let jobs = SIZES.map(|size| Job::echo(bench, size));
    for job in jobs.iter().chain([&Job::primes(bench)]) {
        let bytes = one(bench, job).await?;
        let (task, value) = (job.each(|task| task.0.len()), job.each(|task| task.1.len()));
        let row = |what: &str, bytes: f64| {
            let about = &job.about;
            Row::new(format!("Redis bytes a task, {about}: {what}"), "B", [bytes])
        };
        report.row(row("submitted", bytes.at_rest).against("raw payload", [task]));
        report.row(row("most while it runs", bytes.running).against("raw payload and value", [task + value]));
        let outcome = row("packed outcome", bytes.outcome).against("raw value", [value]);
        report.row(outcome.at_most(1.5));
        report.row(row("payload and outcome", bytes.done).against("naive: list and hash", [bytes.naive]));
    }
    Ok(())
}

/// Submits a job, lets it be run, and looks at it before, meanwhile and after. Nobody delivers it.
async fn one(bench: &Bench, job: &Job) -> Result<Bytes> {
    let mut stage = bench.stage(AppendOnly::No).await?;
    let mut redis = stage.world().redis().await?;
    let naive = naive(&mut redis, &job.tasks).await?;
    let file = stage.tasks("tasks", job.tasks.iter().map(|(payload, _)| payload.clone()))?;
    let before = stage.redis_memory().await?;
    let jobs = stage.submit("default", &file, job.tasks.len()).await?;
    let [id] = &jobs[..] else {
        bail!("{} jobs instead of one", jobs.len());
    };
    let prefix = stage.world().prefix();
    let keys = ["meta", "tasks", "leases", "freed", "results"].map(|part| format!("{prefix}{{{id}}}:{part}"));
    let at_rest = memory_of(&mut redis, &keys).await?;
    let steps = stage.jobs().await?;
    stage
        .executor(&format!("[executor]\nqueues = [\"default\"]\n\n{}", job.handler))
        .await?;
    let most = most_until_done(&stage, steps, &jobs).await?;
    let done = memory_of(&mut redis, &keys).await?;
    let outcomes = memory_of(&mut redis, &keys[4..]).await?;
    ensure!(
        at_rest > 0 && outcomes > 0,
        "the job's keys are not where they should be"
    );
    stage.clear().await?;
    let each = |bytes: u64| bytes as f64 / job.tasks.len() as f64;
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

/// What tasks take as a list, and their values as a hash with a field for each.
async fn naive(redis: &mut MultiplexedConnection, tasks: &[(String, String)]) -> Result<u64> {
    let keys = ["naive:tasks", "naive:results"].map(str::to_owned);
    for (batch, first) in tasks.chunks(BATCH).zip((0..).step_by(BATCH)) {
        let mut pipe = redis::pipe();
        for ((task, value), index) in batch.iter().zip(first..) {
            pipe.rpush(&keys[0], task)
                .ignore()
                .hset(&keys[1], index, value)
                .ignore();
        }
        let () = pipe.query_async(redis).await?;
    }
    let bytes = memory_of(redis, &keys).await?;
    let _: u64 = redis::cmd("DEL").arg(&keys).query_async(redis).await?;
    Ok(bytes)
}
