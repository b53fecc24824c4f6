//! How many small jobs a second, and what each costs the stores and the programs.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use harness::AppendOnly;

use super::QUEUE;
use crate::{
    arrivals::Arrivals,
    bench::Bench,
    figures::throughput::cluster,
    floors::ledger::{LedgerFloor, WRITES},
    report::{Report, Row},
    stage::{LIMIT, Stage},
    usage::Usage,
};

/// Submits many jobs of one task by one submitter, to one executor and one watcher; its floor are the ledger's writes of as
/// many jobs, many at once.
pub(super) async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let jobs = bench.count(5_000, 50);
    let stage = cluster(bench, AppendOnly::No).await?;
    let floor = LedgerFloor::new(stage.world()).await?;
    // A first time in vain: files are read, code is compiled.
    run(&stage, bench.count(1_000, 10)).await?;
    floor.pipelined(bench.count(5_000, 10)).await?;
    let (mut submitted, mut over, mut costs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.rounds() {
        let possible = jobs as f64 / floor.pipelined(jobs).await?.as_secs_f64();
        let before = Usage::so_far(&stage).await?;
        let run = run(&stage, jobs).await?;
        costs.push(Usage::so_far(&stage).await?.since(&before));
        submitted.push((per_second(jobs, run.submitted), possible));
        over.push((per_second(jobs, run.over), possible));
    }
    let name = format!("pipelined, the {WRITES} ledger writes of each");
    report.row(Row::pairs(
        format!("{jobs} jobs of 1 task, only submitted, while all work"),
        "jobs/s",
        &name,
        &submitted,
    ));
    report.row(
        Row::pairs(
            format!("{jobs} jobs of 1 task, submitted, run, delivered, cleaned up"),
            "jobs/s",
            &name,
            &over,
        )
        .at_least(0.5),
    );
    tell_costs(jobs, &costs, report);
    Ok(())
}

/// From the start of the submitter.
struct Run {
    /// To its end.
    submitted: Duration,
    /// To the last result and the end of the last znode.
    over: Duration,
}

async fn run(stage: &Stage, jobs: usize) -> Result<Run> {
    let file = stage.tasks("small", (0..jobs).map(|task| (task % 100).to_string()))?;
    let mut steps = stage.jobs().await?;
    let mut arrivals = Arrivals::listen(&stage.world().sink().join(QUEUE))?;
    let begun = Instant::now();
    let submit = async {
        let ids = stage.submit(QUEUE, &file, 1).await?;
        anyhow::Ok((ids, begun.elapsed()))
    };
    let ((ids, submitted), gone, last) =
        tokio::try_join!(submit, steps.gone(jobs, LIMIT), arrivals.last_of(jobs, LIMIT))?;
    ensure!(ids.len() == jobs, "{} jobs instead of {jobs}", ids.len());
    let end = gone.values().copied().max().unwrap_or(last).max(last);
    Ok(Run {
        submitted,
        over: end - begun,
    })
}

fn per_second(jobs: usize, time: Duration) -> f64 {
    jobs as f64 / time.as_secs_f64()
}

/// What each job cost whom.
fn tell_costs(jobs: usize, costs: &[Usage], report: &mut Report) {
    let jobs = jobs as f64;
    let Some(first) = costs.first() else { return };
    for who in first.cpu.keys() {
        let each = costs.iter().filter_map(|cost| cost.cpu.get(who));
        let each: Vec<_> = each.map(|cpu| cpu.as_secs_f64() * 1e6 / jobs).collect();
        report.row(Row::new(format!("processor time a job: {who}"), "µs", each));
    }
    for who in first.requests.keys() {
        let each = costs.iter().filter_map(|cost| cost.requests.get(who));
        let each: Vec<_> = each.map(|requests| *requests as f64 / jobs).collect();
        report.row(Row::new(format!("requests to ZooKeeper a job: {who}"), "", each));
        let each = costs.iter().filter_map(|cost| cost.answers.get(who));
        let each: Vec<_> = each.map(|answers| *answers as f64 / jobs).collect();
        let what = format!("replies and notifications of ZooKeeper a job: {who}");
        report.row(Row::new(what, "", each));
    }
    let scripts = |cost: &Usage| {
        let called = cost.commands.iter().filter(|(command, _)| is_script(command));
        called.map(|(_, calls)| *calls as f64).sum::<f64>() / jobs
    };
    report.row(Row::new(
        "scripts a job in Redis",
        "",
        costs.iter().map(scripts).collect::<Vec<_>>(),
    ));
    let bytes: Vec<_> = costs.iter().map(|cost| cost.redis_bytes as f64 / jobs).collect();
    report.row(Row::new("bytes a job to and from Redis", "B", bytes));
    let commands: Vec<_> = first
        .commands
        .iter()
        .map(|(command, calls)| (command, *calls as f64 / jobs))
        .filter(|(_, calls)| *calls >= 0.05)
        .map(|(command, calls)| format!("{command} {calls:.1}"))
        .collect();
    report.note(format!("commands a job in Redis: {}", commands.join(", ")));
    report.note(
        "requests of \"all\" are also those of the submitter and of the benchmark itself, which hears of each step of each job",
    );
}

fn is_script(command: &str) -> bool {
    command.starts_with("eval") || command.starts_with("fcall")
}
