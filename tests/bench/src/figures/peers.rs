//! Trivial tasks a second, beside other queues on the same Redis, each in its best documented setting.
//!
//! Each has a script in `tests/bench/peers` that says which setting that is. It starts its own workers and times as we do,
//! from the first push until the last task is done, and sees that every task was done once. A peer has fewer
//! tasks, so that all take about as long; rates are compared. Promises are not: Sidekiq takes a task off its list before it
//! runs it, so that one is lost with its process; only apalis-redis, and Celery when told, keep results; none delivers a file.

mod peer;

use std::time::Duration;

use anyhow::Result;
use harness::AppendOnly;

use self::peer::{PEERS, Peer};
use super::throughput;
use crate::{
    bench::Bench,
    report::{Report, Row, middle},
    stage::Stage,
};

/// How many times as fast as the fastest of them distjob is to be.
const TARGET: f64 = 25.0;

/// Measures with and without an append-only file.
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let mut installed = Vec::new();
    for peer in PEERS {
        match peer.is_installed(bench.peers()) {
            true => installed.push(peer),
            false => report.note(format!(
                "{peer} is left out: it is not installed. `cargo xtask bench` does that, or says why it cannot"
            )),
        }
    }
    if installed.is_empty() {
        return Ok(());
    }
    for append_only in [AppendOnly::No, AppendOnly::EverySecond] {
        with(bench, append_only, &installed, report).await?;
    }
    Ok(())
}

async fn with(
    bench: &Bench,
    append_only: AppendOnly,
    peers: &[&'static Peer],
    report: &mut Report,
) -> Result<()> {
    let tasks = bench.tasks(500_000, 10_000);
    let stage = throughput::cluster(bench, append_only).await?;
    // A first time in vain, as for the naive floor.
    throughput::run(&stage, tasks.min(50_000)).await?;
    let mut measured: Vec<(&Peer, Vec<(f64, f64)>)> = peers.iter().map(|peer| (*peer, Vec::new())).collect();
    for _ in 0..bench.rounds() {
        let ours = rate(tasks, throughput::run(&stage, tasks).await?);
        // One that fails is left out from then on, and the others are measured.
        let mut left = Vec::new();
        for (peer, mut rates) in measured {
            let tasks = bench.count(peer.tasks, peer.tasks_quick());
            match theirs(bench, &stage, peer, tasks).await {
                Ok(time) => {
                    rates.push((ours, rate(tasks, time)));
                    left.push((peer, rates));
                }
                Err(error) => report.note(format!("{peer} is left out: {error:#}")),
            }
        }
        measured = left;
    }
    rows(append_only, &measured, report);
    Ok(())
}

/// How long a peer takes. Once more where it fails: the clocks of some are not what is measured here.
async fn theirs(bench: &Bench, stage: &Stage, peer: &Peer, tasks: usize) -> Result<Duration> {
    match peer.run(bench.peers(), stage.world(), tasks).await {
        Err(error) => {
            eprintln!("    {peer} failed, and is tried once more: {error:#}");
            peer.run(bench.peers(), stage.world(), tasks).await
        }
        time => time,
    }
}

/// A row for each; the fastest is the one that counts.
fn rows(append_only: AppendOnly, measured: &[(&Peer, Vec<(f64, f64)>)], report: &mut Report) {
    let speed = |rates: &[(f64, f64)]| middle(&rates.iter().map(|(_, theirs)| *theirs).collect::<Vec<_>>());
    let fastest = measured.iter().map(|(_, rates)| speed(rates)).fold(0.0, f64::max);
    for (peer, rates) in measured {
        let what = format!("trivial tasks, {}", throughput::told(append_only));
        if speed(rates) < fastest {
            report.row(Row::pairs(what, "tasks/s", peer.to_string(), rates));
        } else {
            let name = format!("{peer}, the fastest peer");
            report.row(Row::pairs(what, "tasks/s", name, rates).at_least(TARGET));
        }
    }
}

fn rate(tasks: usize, time: Duration) -> f64 {
    tasks as f64 / time.as_secs_f64()
}
