//! Ever more jobs that wait: what they cost those who only know of them.
//!
//! A watcher, to which a submitted job is nothing yet; an executor of another queue; and an executor of their queue whose only
//! slot is taken, so that all others stay where they are. Of each: its memory, how long it takes to catch up after its start,
//! and what one more job costs. Then a second executor of the queue comes, and takes over its share.
//!
//! [`crowd`] makes the jobs, [`mod@quiet`] tells when a daemon has done all that it had to.

mod crowd;
mod quiet;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use harness::{AppendOnly, Process};

use self::{
    crowd::Crowd,
    quiet::{gauge, processor_time, quiet, reaches},
};
use crate::{
    bench::Bench,
    report::{Line, Report, Row, Scale, Series},
    stage::{LIMIT, Stage},
};

/// Serves another queue.
const ELSEWHERE: &str = "[executor]\nqueues = [\"elsewhere\"]\nslots = 1\n";

/// Has one slot, which its first task takes for good.
const HERE: &str = "[executor]\nqueues = [\"waiting\"]\nslots = 1\ngrace_period = \"1s\"\n\n\
    [queues.waiting]\nhandler = \"command\"\ncommand.argv = [\"sleep\", \"3600\"]\n";

/// A job that waits may cost so many times as much among the most others as among the fewest: it should be flat.
const GROWTH_MAX: f64 = 3.0;

/// Less than this is not told from nothing: a tick, spread over the jobs that come.
const RESOLUTION_US: f64 = 10.0;

/// Daemons, in the order in which they come.
const WHO: [&str; 3] = ["watcher", "executor of another queue", "executor of their queue"];

/// What was measured with so many jobs.
struct Point {
    jobs: f64,
    /// Of each of [`WHO`].
    known: [Known; 3],
    arrival: Arrival,
    zookeeper: f64,
}

/// What jobs cost one daemon.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    memory: f64,
    caught_up_s: f64,
    /// For each job that came later, in microseconds.
    one_more_us: f64,
}

/// What it takes until a second executor has its share.
struct Arrival {
    agreed_s: f64,
    /// Processor time of the first one, in milliseconds.
    first_ms: f64,
    /// And of the second.
    second_ms: f64,
}

/// Measures with ever more jobs, on the same servers.
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let counts: &[usize] = if bench.is_quick() {
        &[50]
    } else {
        &[1_000, 10_000, 100_000, 300_000]
    };
    let mut stage = bench.stage(AppendOnly::No).await?;
    let mut crowd = Crowd::gather(&mut stage).await?;
    let mut points: Vec<Point> = Vec::new();
    for &jobs in counts {
        crowd.grow(jobs).await?;
        let point = point(bench, &mut stage, &mut crowd).await?;
        point.tell(points.first(), report);
        points.push(point);
    }
    pictures(&points, report);
    Ok(())
}

async fn point(bench: &Bench, stage: &mut Stage, crowd: &mut Crowd) -> Result<Point> {
    let jobs = crowd.count();
    let mut known = [Known::default(); 3];
    for (who, known) in known.iter_mut().enumerate() {
        let begun = Instant::now();
        enter(stage, who).await?;
        known.caught_up_s = caught_up(stage, who, jobs, begun).await?;
        quiet(daemon(stage, who)?).await?;
        known.memory = daemon(stage, who)?.memory()? as f64;
    }
    one_more(bench, stage, crowd, &mut known).await?;
    let arrival = arrival(stage, crowd.count()).await?;
    let zookeeper = stage.world().zookeeper()?.child()?.pid();
    let zookeeper = quiet::resident(zookeeper)?;
    stage.clear().await?;
    Ok(Point {
        jobs: jobs as f64,
        known,
        arrival,
        zookeeper,
    })
}

async fn enter(stage: &mut Stage, who: usize) -> Result<()> {
    match who {
        0 => stage.watcher("").await,
        1 => stage.executor(ELSEWHERE).await,
        _ => stage.executor(HERE).await,
    }
}

fn daemon(stage: &Stage, who: usize) -> Result<&Process> {
    stage.members().get(who).context("nobody came")
}

/// How long it took since `begun` until a daemon knows all jobs, in seconds.
async fn caught_up(stage: &Stage, who: usize, jobs: usize, begun: Instant) -> Result<f64> {
    let daemon = daemon(stage, who)?;
    let at = match who {
        0 => reaches(daemon, "distjob_jobs{state=\"subm\"}", jobs as f64, LIMIT).await?,
        // It counts nothing of what is not its own: it is done when it has nothing to do.
        1 => quiet(daemon).await?,
        _ => {
            reaches(daemon, "distjob_jobs_submitted", jobs as f64, LIMIT).await?;
            reaches(daemon, "distjob_jobs_share", jobs as f64, LIMIT).await?
        }
    };
    Ok((at - begun).as_secs_f64())
}

/// Lets some more jobs come one by one, and divides what each daemon did by their number.
async fn one_more(bench: &Bench, stage: &Stage, crowd: &mut Crowd, known: &mut [Known; 3]) -> Result<()> {
    let more = bench.count(1_000, 20);
    let mut before = [Duration::ZERO; 3];
    for (who, before) in before.iter_mut().enumerate() {
        *before = processor_time(daemon(stage, who)?.pid())?;
    }
    crowd.trickle(more).await?;
    for (who, known) in known.iter_mut().enumerate() {
        quiet(daemon(stage, who)?).await?;
        let used = processor_time(daemon(stage, who)?.pid())?.saturating_sub(before[who]);
        known.one_more_us = used.as_secs_f64() * 1e6 / more as f64;
    }
    Ok(())
}

/// A second executor of their queue comes.
async fn arrival(stage: &mut Stage, jobs: usize) -> Result<Arrival> {
    let before = processor_time(daemon(stage, 2)?.pid())?;
    let begun = Instant::now();
    stage.executor(HERE).await?;
    let (first, second) = (daemon(stage, 2)?, daemon(stage, 3)?);
    let (at, half) = (Instant::now() + LIMIT, jobs as f64 / 2.0);
    let agreed = loop {
        let shares = [
            gauge(first, "distjob_jobs_share").await?,
            gauge(second, "distjob_jobs_share").await?,
        ];
        let known = gauge(second, "distjob_jobs_submitted").await?;
        if known >= jobs as f64 && shares.iter().all(|share| (share - half).abs() <= 1.0) {
            break Instant::now();
        }
        anyhow::ensure!(Instant::now() < at, "shares are {shares:?} of {jobs} jobs");
        tokio::time::sleep(quiet::LOOK_EVERY).await;
    };
    quiet(first).await?;
    quiet(second).await?;
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    Ok(Arrival {
        agreed_s: (agreed - begun).as_secs_f64(),
        first_ms: ms(processor_time(first.pid())?.saturating_sub(before)),
        second_ms: ms(processor_time(second.pid())?),
    })
}

impl Point {
    fn tell(&self, fewest: Option<&Self>, report: &mut Report) {
        let jobs = self.jobs;
        let beside = |row: Row, figure: fn(&Known) -> f64, who: usize| match fewest {
            Some(fewest) => row.against(format!("{} jobs", fewest.jobs), [figure(&fewest.known[who])]),
            None => row,
        };
        for (who, known) in self.known.iter().enumerate() {
            let name = format!("{jobs} jobs wait, {}", WHO[who]);
            report.row(Row::new(format!("{name}: memory"), "B", [known.memory]));
            report.row(Row::new(
                format!("{name}: caught up after"),
                "s",
                [known.caught_up_s],
            ));
            let row = Row::new(format!("{name}: one more job"), "µs", [known.one_more_us]);
            let row = beside(row, |known| known.one_more_us.max(RESOLUTION_US), who);
            report.row(if fewest.is_some() {
                row.at_most(GROWTH_MAX)
            } else {
                row
            });
        }
        let Arrival {
            agreed_s,
            first_ms,
            second_ms,
        } = self.arrival;
        let name = format!("{jobs} jobs wait, a second executor");
        report.row(Row::new(format!("{name}: shares agreed after"), "s", [agreed_s]));
        report.row(Row::new(format!("{name}: costs the first"), "ms", [first_ms]));
        report.row(Row::new(format!("{name}: costs itself"), "ms", [second_ms]));
        report.row(Row::new(
            format!("{jobs} jobs wait, ZooKeeper: memory"),
            "B",
            [self.zookeeper],
        ));
    }
}

fn pictures(points: &[Point], report: &mut Report) {
    let by_daemon = |figure: fn(&Known) -> f64| -> Vec<Line> {
        let line = |(who, name): (usize, &&str)| Line {
            name: (*name).to_owned(),
            points: points
                .iter()
                .map(|point| (point.jobs, figure(&point.known[who])))
                .collect(),
        };
        WHO.iter().enumerate().map(line).collect()
    };
    for (name, y, lines) in [
        (
            "memory",
            "MiB",
            by_daemon(|known| known.memory / f64::from(1 << 20)),
        ),
        (
            "catching up after a start",
            "s",
            by_daemon(|known| known.caught_up_s),
        ),
        (
            "one more job",
            "processor time, µs",
            by_daemon(|known| known.one_more_us),
        ),
    ] {
        report.series(Series {
            name: name.to_owned(),
            x: "jobs that wait".to_owned(),
            scale: Scale::Log,
            y: y.to_owned(),
            lines,
        });
    }
}
