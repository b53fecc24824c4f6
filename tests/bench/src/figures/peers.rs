//! Trivial tasks a second, beside other queues on the same Redis, each in its best documented setting.
//!
//! Each has a script in `tests/bench/peers` that says which setting that is. It starts its own workers and times as we do,
//! from the first push until the last task is done, and sees that every task was done once. A peer has fewer
//! tasks, so that all take about as long; rates are compared. Promises are not: Sidekiq takes a task off its list before it
//! runs it, so that one is lost with its process; only apalis-redis, and Celery when told, keep results; none delivers a file.

mod peer;

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Result, ensure};
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
        report.note("no peer is installed: there is nothing to compare with, and nothing was measured");
        return Ok(());
    }
    let mut doubtful = BTreeSet::new();
    for append_only in [AppendOnly::No, AppendOnly::EverySecond] {
        doubtful.extend(with(bench, append_only, &installed, report).await?);
    }
    // Quickly it is only seen whether everything works, and that has been said.
    ensure!(
        doubtful.is_empty() || bench.is_quick(),
        "it is not known which peer is the fastest: {} failed",
        doubtful.into_iter().collect::<Vec<_>>().join(", ")
    );
    Ok(())
}

/// A peer, and what was measured of it.
struct Measured {
    peer: &'static Peer,
    /// Ours and theirs, in tasks a second, a round.
    rates: Vec<(f64, f64)>,
    has_failed: bool,
}

impl Measured {
    /// How fast it is, as far as was measured.
    fn speed(&self) -> f64 {
        middle(&self.rates.iter().map(|(_, theirs)| *theirs).collect::<Vec<_>>())
    }
}

/// Measures with Redis run in this way. The failures after which it is not known which peer is the fastest.
async fn with(
    bench: &Bench,
    append_only: AppendOnly,
    peers: &[&'static Peer],
    report: &mut Report,
) -> Result<Vec<String>> {
    let tasks = bench.tasks(500_000, 10_000);
    let stage = throughput::cluster(bench, append_only).await?;
    throughput::warm_up(bench, &stage).await?;
    let new = |peer: &&'static Peer| Measured {
        peer,
        rates: Vec::new(),
        has_failed: false,
    };
    let mut measured: Vec<_> = peers.iter().map(new).collect();
    for _ in 0..bench.rounds() {
        let ours = rate(tasks, throughput::run(&stage, tasks).await?);
        // One that fails is left out from then on, and the others are measured.
        for measured in measured.iter_mut().filter(|measured| !measured.has_failed) {
            let peer = measured.peer;
            let tasks = bench.count(peer.tasks, peer.tasks_quick());
            match theirs(bench, &stage, peer, tasks).await {
                Ok(time) => measured.rates.push((ours, rate(tasks, time))),
                Err(error) => {
                    measured.has_failed = true;
                    report.note(format!("{peer} is left out: {error:#}"));
                }
            }
        }
    }
    Ok(rows(append_only, &measured, report))
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

/// A row for each that did not fail; the fastest is the one that counts, unless one of those that failed may be faster. These
/// are returned.
fn rows(append_only: AppendOnly, measured: &[Measured], report: &mut Report) -> Vec<String> {
    let (fastest, doubtful) = fastest(measured);
    for Measured { peer, rates, .. } in measured.iter().filter(|measured| !measured.has_failed) {
        let what = format!("trivial tasks, {}", throughput::told(append_only));
        let row = |name: String| Row::pairs(&what, "tasks/s", name, rates);
        report.row(match fastest {
            Some(fastest) if !std::ptr::eq(fastest, *peer) => row(peer.to_string()),
            Some(_) if doubtful.is_empty() => row(format!("{peer}, the fastest peer")).at_least(TARGET),
            _ => row(format!("{peer}, the fastest of those that did not fail")),
        });
    }
    doubtful.iter().map(ToString::to_string).collect()
}

/// The fastest of those that did not fail; and those that failed and may be faster, for all that is known.
fn fastest(measured: &[Measured]) -> (Option<&'static Peer>, Vec<&'static Peer>) {
    let (failed, whole): (Vec<_>, Vec<_>) = measured.iter().partition(|measured| measured.has_failed);
    let fastest = whole
        .into_iter()
        .max_by(|one, other| one.speed().total_cmp(&other.speed()));
    let is_slower = |failed: &&Measured| fastest.is_some_and(|fastest| failed.speed() < fastest.speed());
    let doubtful = failed.iter().filter(|failed| !is_slower(failed));
    (
        fastest.map(|fastest| fastest.peer),
        doubtful.map(|failed| failed.peer).collect(),
    )
}

fn rate(tasks: usize, time: Duration) -> f64 {
    tasks as f64 / time.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(peer: usize, speeds: &[f64], has_failed: bool) -> Measured {
        Measured {
            peer: &PEERS[peer],
            rates: speeds.iter().map(|speed| (100.0, *speed)).collect(),
            has_failed,
        }
    }

    fn names(measured: &[Measured]) -> (Option<String>, Vec<String>) {
        let (fastest, doubtful) = fastest(measured);
        let name = |peer: &Peer| peer.to_string();
        (fastest.map(name), doubtful.into_iter().map(name).collect())
    }

    #[test]
    fn a_peer_that_failed_is_passed_over_only_where_it_was_seen_to_be_slower() {
        let (bullmq, sidekiq) = (measured(0, &[9.0, 10.0], false), || "Sidekiq".to_owned());
        let best = Some("BullMQ".to_owned());
        assert_eq!(
            names(&[bullmq, measured(1, &[4.0], true), measured(2, &[3.0], false)]),
            (best.clone(), vec![])
        );
        for before in [&[][..], &[11.0]] {
            let bullmq = measured(0, &[9.0, 10.0], false);
            assert_eq!(
                names(&[bullmq, measured(1, before, true)]),
                (best.clone(), vec![sidekiq()]),
                "it was never measured, or was the fastest before it failed"
            );
        }
        assert_eq!(names(&[measured(1, &[], true)]), (None, vec![sidekiq()]));
    }
}
