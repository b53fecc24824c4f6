//! Two sets of programs beside each other, such as those of two revisions: has anything become slower?

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use harness::{AppendOnly, unique};
use redis::AsyncCommands as _;
use zookeeper_client::{Acls, CreateMode, CreateOptions};

use crate::{
    bench::Bench,
    figures::throughput::{cluster, run, run_jobs_of},
    floors::pipe::feed,
    quantiles::Quantiles,
    rate::{each_us, per_second},
    report::{Report, Row},
    stage::{LIMIT, Stage},
};

/// Less than this is a regression, and not the machine's mood: a tenth is what medians of rounds differ by when both sets are
/// the same.
const SPEED_MIN: f64 = 0.85;
/// Likewise, of times.
const TIME_MAX: f64 = 1.0 / SPEED_MIN;

const PERSISTENT: CreateOptions<'static> = CreateMode::Persistent.with_acls(Acls::anyone_all());

/// One set of programs: a cluster that runs jobs, and servers with nobody there to submit to.
struct Side {
    cluster: Stage,
    quiet: Stage,
    lines: PathBuf,
}

/// What one side did in a round.
struct Figures {
    tasks_s: f64,
    redis_us: f64,
    jobs_s: f64,
    alone_ms: f64,
    lines_s: f64,
}

/// Measures both by turns.
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let sides = [side(bench).await?, side(&bench.other()).await?];
    // A first time in vain: files are read, pages are touched.
    for side in &sides {
        run(&side.cluster, bench.count(100_000, 5_000)).await?;
        run_jobs_of(1, &side.cluster, bench.count(500, 5)).await?;
    }
    let mut rounds = Vec::new();
    for _ in 0..bench.rounds() {
        rounds.push([figures(bench, &sides[0]).await?, figures(bench, &sides[1]).await?]);
    }
    let row = |what: &str, unit: &'static str, of: fn(&Figures) -> f64| {
        let pairs: Vec<_> = rounds
            .iter()
            .map(|[ours, theirs]| (of(ours), of(theirs)))
            .collect();
        Row::pairs(what, unit, "the other", &pairs)
    };
    let tasks = row("trivial tasks, submission to files", "tasks/s", |side| {
        side.tasks_s
    });
    report.row(tasks.at_least(SPEED_MIN));
    let redis = row("processor time of Redis for a task", "µs", |side| side.redis_us);
    report.row(redis.at_most(TIME_MAX));
    let jobs = row("jobs of 1 task, submitted to cleaned up", "jobs/s", |side| {
        side.jobs_s
    });
    report.row(jobs.at_least(SPEED_MIN));
    let alone = row("one job of 1 task alone, to its end, p50", "ms", |side| {
        side.alone_ms
    });
    report.row(alone.at_most(TIME_MAX));
    let lines = row("lines from a pipe to a job", "lines/s", |side| side.lines_s);
    report.row(lines.at_least(SPEED_MIN));
    Ok(())
}

async fn side(bench: &Bench) -> Result<Side> {
    let quiet = bench.stage(AppendOnly::No).await?;
    let count = lines(bench);
    Ok(Side {
        cluster: cluster(bench, AppendOnly::No).await?,
        lines: quiet.tasks("lines", (0..count).map(|line| line.to_string()))?,
        quiet,
    })
}

fn lines(bench: &Bench) -> usize {
    bench.count(2_000_000, 10_000)
}

async fn figures(bench: &Bench, side: &Side) -> Result<Figures> {
    let (tasks, jobs) = (bench.count(500_000, 10_000), bench.count(2_000, 20));
    let before = side.cluster.redis_cpu().await?;
    let all = run(&side.cluster, tasks).await?;
    let redis = side.cluster.redis_cpu().await? - before;
    let small = run_jobs_of(1, &side.cluster, jobs).await?;
    let alone = alone(&side.cluster, bench.count(200, 5)).await?;
    let submitter = side.quiet.submitter(&["--queue", "primes", "-"]);
    let (submitted, ids) = feed(side.quiet.world(), submitter, "submitter", &side.lines).await?;
    ensure!(ids.len() == 1, "{} jobs instead of one", ids.len());
    Ok(Figures {
        tasks_s: per_second(tasks, all),
        redis_us: each_us(tasks, redis),
        jobs_s: per_second(jobs, small),
        alone_ms: Quantiles::of_times(alone).at(0.5),
        lines_s: per_second(lines(bench), submitted),
    })
}

/// One job after the other, each from its list to the end of its znode.
async fn alone(stage: &Stage, count: usize) -> Result<Vec<Duration>> {
    let (mut redis, ledger) = (stage.world().redis().await?, stage.world().zk().await?);
    let mut steps = stage.jobs().await?;
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let id = format!("alone-{}", unique());
        let begun = Instant::now();
        let _: u64 = redis.rpush(&id, "17").await?;
        let path = stage.world().path(&format!("jobs/{id}"));
        ledger.create(&path, b"subm=1;queue=primes", &PERSISTENT).await?;
        let gone = steps.gone(1, LIMIT).await?;
        times.extend(gone.values().map(|end| *end - begun));
    }
    Ok(times)
}
