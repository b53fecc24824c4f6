//! The ends of jobs: how long slots have nothing to do while the last tasks run.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use harness::{AppendOnly, Process};

use crate::{
    bench::Bench,
    figures::handlers::command,
    report::{Report, Row},
    stage::LIMIT,
};

/// Executors, with two slots each.
const EXECUTORS: usize = 2;
const SLOTS: usize = 2 * EXECUTORS;

/// One more than fills all slots eight times: the worst that can happen.
const LONG_TASKS: usize = 8 * SLOTS + 1;
const LONG: &str = "0.3";

/// Between two looks at what executors have recorded.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Tasks of 300 ms, and tasks of microseconds.
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let tail = ms(long_tasks(bench).await?);
    report.row(Row::new(
        "tail of a job, tasks of 300 ms, 2 executors",
        "ms",
        [tail],
    ));
    let tail = ms(short_tasks(bench).await?);
    report.row(Row::new(
        "tail of a job, tasks of microseconds, 2 executors",
        "ms",
        [tail],
    ));
    Ok(())
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// From the last moment at which every slot ran a task to the end of the last one. Each task writes down when it ran.
async fn long_tasks(bench: &Bench) -> Result<Duration> {
    let mut stage = bench.stage(AppendOnly::No).await?;
    let times = stage.world().dir().join("times");
    let script = format!(
        "a=$(date +%s%N); sleep {LONG}; echo $a $(date +%s%N) >> {}",
        times.display()
    );
    for _ in 0..EXECUTORS {
        stage.executor(&command(&["sh", "-c", &script, "{task}"])).await?;
    }
    let tasks = stage.tasks("tasks", (0..LONG_TASKS).map(|task| task.to_string()))?;
    stage.run("default", &tasks).await?;
    let mut steps = Vec::new();
    for line in fs::read_to_string(&times).context("read when tasks ran")?.lines() {
        let (begun, ended) = line.split_once(' ').context("no two times")?;
        steps.extend([(begun.parse::<u64>()?, 1), (ended.parse()?, -1)]);
    }
    ensure!(steps.len() == 2 * LONG_TASKS, "{} times", steps.len());
    stage.clear().await?;
    steps.sort_unstable();
    let (mut running, mut last_full) = (0, None);
    for (time, step) in &steps {
        if running == SLOTS {
            last_full = Some(*time);
        }
        running = running.saturating_add_signed(*step);
    }
    let end = steps.last().context("no times")?.0;
    Ok(Duration::from_nanos(
        end - last_full.context("the slots were never all busy")?,
    ))
}

/// From the last commit of the first executor that had nothing more to do to that of the other one.
async fn short_tasks(bench: &Bench) -> Result<Duration> {
    let mut stage = bench.stage(AppendOnly::No).await?;
    for _ in 0..EXECUTORS {
        stage
            .executor("[executor]\nqueues = [\"default\"]\nslots = 1\n")
            .await?;
    }
    let count = bench.count(1_000_000, 20_000);
    let mut steps = stage.jobs().await?;
    let tasks = stage.tasks("tasks", (0..count).map(|task| (task * 179).to_string()))?;
    let jobs = stage.submit("default", &tasks, count).await?;
    let mut last = vec![(0, Instant::now()); EXECUTORS];
    while last.iter().map(|(recorded, _)| recorded).sum::<u64>() < count as u64 {
        for (executor, last) in stage.members().iter().zip(&mut last) {
            let recorded = recorded(executor).await?;
            if recorded > last.0 {
                *last = (recorded, Instant::now());
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    steps.done(&jobs, LIMIT).await?;
    stage.clear().await?;
    let times = || last.iter().map(|(_, time)| *time);
    let (first, end) = (times().min(), times().max());
    Ok(end.context("nobody")? - first.context("nobody")?)
}

/// How many outcomes an executor has recorded.
async fn recorded(executor: &Process) -> Result<u64> {
    let answer = executor.admin_get("/metrics").await?;
    let of = |line: &str| {
        line.strip_prefix("distjob_tasks_total{")?
            .rsplit(' ')
            .next()?
            .parse::<u64>()
            .ok()
    };
    Ok(answer.body.lines().filter_map(of).sum())
}
