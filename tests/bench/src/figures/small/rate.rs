//! How many small jobs a second, and what each costs the stores and the programs.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use distjob_core::cost::{Bill, Job, Members};
use harness::AppendOnly;

use super::QUEUE;
use crate::{
    arrivals::Arrivals,
    bench::Bench,
    figures::throughput::cluster,
    floors::ledger::{IN_FLIGHT, LedgerFloor, WRITES},
    report::{Report, Row},
    stage::{LIMIT, Stage},
    usage::{ALL, Usage, ZOOKEEPER},
};

/// Submits many jobs of one task by one submitter, to one executor and one watcher; its floor are the ledger's writes of as
/// many jobs, many at once.
pub(super) async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let jobs = bench.count(5_000, 50);
    let stage = cluster(bench, AppendOnly::No).await?;
    let floor = LedgerFloor::new(stage.world()).await?;
    // A first time in vain: files are read, code is compiled.
    run(&stage, bench.count(1_000, 10)).await?;
    floor.pipelined(bench.count(20_000, 10), IN_FLIGHT).await?;
    let (mut submitted, mut over, mut heard) = (Vec::new(), Vec::new(), Vec::new());
    let (mut costs, mut floor_costs) = (Vec::new(), Vec::new());
    let mut sets = Vec::new();
    for _ in 0..bench.rounds() {
        let before = Usage::so_far(&stage).await?;
        let possible = per_second(jobs, floor.pipelined(jobs, IN_FLIGHT).await?);
        let alone = Usage::so_far(&stage).await?;
        let writes = jobs * WRITES;
        sets.push(per_second(writes, floor.plain_sets(writes, IN_FLIGHT).await?));
        let between = Usage::so_far(&stage).await?;
        let run = run(&stage, jobs).await?;
        costs.push(Usage::so_far(&stage).await?.since(&between));
        floor_costs.push(alone.since(&before));
        let listeners = floor.listen(stage.world(), LISTENERS).await?;
        heard.push(per_second(jobs, floor.pipelined(jobs, IN_FLIGHT).await?));
        drop(listeners);
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
    let ours: Vec<_> = over.iter().map(|(ours, _)| *ours).collect();
    let name = format!("the same writes, heard of by {LISTENERS} sessions");
    report.row(Row::new("the same", "jobs/s", ours.clone()).against(name, heard));
    let writes: Vec<_> = ours.iter().map(|jobs| jobs * WRITES as f64).collect();
    report.row(
        Row::new(format!("their ledger writes, {WRITES} a job"), "/s", writes)
            .against("pipelined, plain sets", sets),
    );
    tell_costs(jobs, &costs, &floor_costs, report);
    Ok(())
}

/// Who hears of each step while the programs work: the executor, the watcher, and the benchmark.
const LISTENERS: usize = 3;

/// The same for the cost model, to which the benchmark is one more watcher.
const HEARERS: Members = Members {
    executors: 1,
    watchers: 2,
};

/// What each job is like.
const JOB: Job = Job {
    tasks: 1,
    push: 1,
    claim: 1,
    slice: 1,
};

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
fn tell_costs(jobs: usize, costs: &[Usage], floor: &[Usage], report: &mut Report) {
    let each = |costs: &[Usage], of: &dyn Fn(&Usage) -> f64| -> Vec<_> {
        costs.iter().map(|cost| of(cost) / jobs as f64).collect()
    };
    let Some(first) = costs.first() else { return };
    let bill = Bill::of(JOB, HEARERS);
    for who in first.cpu.keys() {
        let cpu = |cost: &Usage| cost.cpu.get(who).map_or(f64::NAN, Duration::as_secs_f64) * 1e6;
        let row = Row::new(format!("processor time a job: {who}"), "µs", each(costs, &cpu));
        report.row(match who.as_str() {
            // It is counted in ticks: of few writes there may be none.
            ZOOKEEPER if floor.iter().all(|cost| cpu(cost) > 0.0) => {
                row.against("the ledger writes alone", each(floor, &cpu))
            }
            _ => row,
        });
    }
    let all = |cost: &Usage| cost.cpu.values().sum::<Duration>().as_secs_f64() * 1e6;
    report.row(Row::new(
        "processor time a job: all of them",
        "µs",
        each(costs, &all),
    ));
    for who in first.requests.keys() {
        let is_all = who == ALL;
        let requests = |cost: &Usage| cost.requests.get(who).map_or(f64::NAN, |count| *count as f64);
        let row = Row::new(
            format!("requests to ZooKeeper a job: {who}"),
            "",
            each(costs, &requests),
        );
        report.row(beside_model(row, is_all.then_some(bill.writes + bill.reads)));
        let answers = |cost: &Usage| cost.answers.get(who).map_or(f64::NAN, |count| *count as f64);
        let what = format!("replies and notifications of ZooKeeper a job: {who}");
        let row = Row::new(what, "", each(costs, &answers));
        let answers_max = bill.writes + bill.reads + bill.events;
        report.row(beside_model(row, is_all.then_some(answers_max)));
    }
    let scripts = |cost: &Usage| {
        let called = cost.commands.iter().filter(|(command, _)| is_script(command));
        called.map(|(_, calls)| *calls as f64).sum()
    };
    let row = Row::new("scripts a job in Redis", "", each(costs, &scripts));
    report.row(beside_model(row, Some(bill.scripts)));
    let bytes = |cost: &Usage| cost.redis_bytes as f64;
    report.row(Row::new(
        "bytes a job to and from Redis",
        "B",
        each(costs, &bytes),
    ));
    tell_commands(jobs, first, report);
}

/// Beside what the cost model says of it: that is what a job costs at most, and so what capacity is planned by.
fn beside_model(row: Row, most: Option<u64>) -> Row {
    match most {
        Some(most) => row
            .against("at most, by the cost model", [most as f64])
            .at_most(1.0),
        None => row,
    }
}

fn tell_commands(jobs: usize, cost: &Usage, report: &mut Report) {
    let calls = cost
        .commands
        .iter()
        .map(|(command, calls)| (command, *calls as f64 / jobs as f64));
    let told: Vec<_> = calls
        .filter(|(_, calls)| *calls >= 0.05)
        .map(|(command, calls)| format!("{command} {calls:.1}"))
        .collect();
    report.note(format!("commands a job in Redis: {}", told.join(", ")));
    report.note(
        "requests of \"all\" are also those of the submitter and of the benchmark itself, which hears of each step of each job",
    );
}

fn is_script(command: &str) -> bool {
    command.starts_with("eval") || command.starts_with("fcall")
}
