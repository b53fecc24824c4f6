//! Ever more executors on one job: what comes of it in tasks a second, and what it costs the stores.
//!
//! All of them are on this machine, so more of them cannot be faster than two or so; that they are not much slower, and what a
//! task costs the stores, is what carries over.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use harness::AppendOnly;
use tokio::time::timeout;

use crate::{
    bench::Bench,
    jobs::{Jobs, Step},
    report::{Line, Report, Row, Scale, Series},
    stage::{LIMIT, Stage},
    usage::Usage,
};

/// Light: a function for a handler, one slot.
const EXECUTOR: &str = "[executor]\nqueues = [\"primes\"]\nslots = 1\n";

/// What one job took.
struct Run {
    tasks: f64,
    elapsed: Duration,
    used: Usage,
    /// Of all members together.
    memory: f64,
}

/// Measures 2, 8 and 32 executors.
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let counts: &[usize] = if bench.is_quick() { &[2] } else { &[2, 8, 32] };
    let tasks = bench.count(1_000_000, 5_000);
    let (mut rates, mut costs, mut first) = (Vec::new(), Vec::new(), None);
    for &members in counts {
        let stage = with(bench, members).await?;
        // A first time in vain: members hear of one another, pages are touched.
        run(&stage, tasks / 10).await?;
        let mut runs = Vec::new();
        for _ in 0..bench.rounds() {
            runs.push(run(&stage, tasks).await?);
        }
        let figures = |figure: fn(&Run) -> f64| runs.iter().map(figure).collect::<Vec<f64>>();
        let (speed, redis) = (figures(Run::speed), figures(Run::redis_us));
        let row = Row::new(
            format!("{members} executors, one job of {tasks}"),
            "tasks/s",
            speed.clone(),
        );
        rates.push((members as f64, row.value()));
        report.row(match &first {
            Some(few) => row.against(format!("{} executors", counts[0]), Clone::clone(few)),
            None => row,
        });
        first.get_or_insert(speed);
        let row = Row::new(
            format!("{members} executors: Redis' time for a task, submission included"),
            "µs",
            redis,
        );
        costs.push((members as f64, row.value()));
        report.row(row);
        for (what, unit, values) in [
            ("commands to Redis for 1,000 tasks", "", figures(Run::commands)),
            ("requests to ZooKeeper for the job", "", figures(Run::requests)),
            ("ZooKeeper's answers and events for it", "", figures(Run::answers)),
            ("memory of one", "B", figures(|run| run.memory)),
        ] {
            report.row(Row::new(format!("{members} executors: {what}"), unit, values));
        }
    }
    for (name, y, points) in [
        ("throughput of one job", "tasks/s", rates),
        ("Redis' time for a task", "µs", costs),
    ] {
        report.series(Series {
            name: name.to_owned(),
            x: "executors".to_owned(),
            scale: Scale::Log,
            y: y.to_owned(),
            lines: vec![Line {
                name: "one slot each".to_owned(),
                points,
            }],
        });
    }
    Ok(())
}

async fn with(bench: &Bench, members: usize) -> Result<Stage> {
    let mut stage = bench.stage(AppendOnly::No).await?;
    for _ in 0..members {
        stage.executor(EXECUTOR).await?;
    }
    Ok(stage)
}

/// One job, from its creation to `prcd`. Nobody delivers it: what was measured stays in the stores.
async fn run(stage: &Stage, tasks: usize) -> Result<Run> {
    let file = stage.tasks("trivial", (0..tasks).map(|task| (task % 100).to_string()))?;
    let mut steps = stage.jobs().await?;
    let before = Usage::so_far(stage).await?;
    let moments = timeout(LIMIT, moments(&mut steps));
    let (_, moments) = tokio::try_join!(stage.submit("primes", &file, tasks), async {
        moments.await.context("the job does not end")?
    })?;
    let used = Usage::so_far(stage).await?.since(&before);
    let memory = stage.members().iter().map(harness::Process::memory);
    let memory = memory.sum::<Result<u64>>()? as f64 / stage.members().len() as f64;
    let (created, done) = moments;
    Ok(Run {
        tasks: tasks as f64,
        elapsed: done - created,
        used,
        memory,
    })
}

/// When a job was created, and when it was done.
async fn moments(steps: &mut Jobs) -> Result<(Instant, Instant)> {
    let mut created = None;
    loop {
        match steps.next().await? {
            (_, Step::Created, at) => created = Some(at),
            (_, _, at) => return Ok((created.context("a job that was there")?, at)),
        }
    }
}

impl Run {
    fn speed(&self) -> f64 {
        self.tasks / self.elapsed.as_secs_f64()
    }

    fn redis_us(&self) -> f64 {
        let cpu = self.used.cpu.get("redis").copied().unwrap_or_default();
        cpu.as_secs_f64() * 1e6 / self.tasks
    }

    fn commands(&self) -> f64 {
        self.used.commands.values().sum::<u64>() as f64 * 1000.0 / self.tasks
    }

    fn requests(&self) -> f64 {
        all(&self.used.requests)
    }

    fn answers(&self) -> f64 {
        all(&self.used.answers)
    }
}

fn all(counts: &BTreeMap<String, u64>) -> f64 {
    counts.get("all").copied().unwrap_or_default() as f64
}
