//! What the ledger's writes cost by how many of them are on their way at once.
//!
//! A server that has several writes before it syncs them with one flush, reads them with one call, and answers them with one.
//! So a job costs it the less, the more jobs are at work; and a program that waits for each answer pays in the server's time.

use anyhow::Result;
use harness::AppendOnly;

use crate::{
    bench::Bench,
    floors::ledger::{IN_FLIGHT, LedgerFloor},
    report::{Line, Report, Scale, Series},
    usage::{Usage, ZOOKEEPER},
};

/// Measures the writes alone, on a server for itself.
pub(super) async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let stage = bench.stage(AppendOnly::No).await?;
    let floor = LedgerFloor::new(stage.world()).await?;
    // A first time in vain: code is compiled.
    floor.pipelined(bench.count(10_000, 10), IN_FLIGHT).await?;
    let mut points = Vec::new();
    for in_flight in [1, 3, 10, 30, 100, IN_FLIGHT] {
        let jobs = bench.count(1_000 * in_flight.clamp(1, 5), 10);
        let before = Usage::so_far(&stage).await?;
        let took = floor.pipelined(jobs, in_flight).await?;
        let used = Usage::so_far(&stage).await?.since(&before);
        let cpu = used.cpu.get(ZOOKEEPER).copied().unwrap_or_default();
        let each = |seconds: f64| seconds * 1e6 / jobs as f64;
        points.push((
            in_flight as f64,
            each(cpu.as_secs_f64()),
            each(took.as_secs_f64()),
        ));
    }
    let told: Vec<_> = points
        .iter()
        .map(|(in_flight, cpu, time)| format!("{in_flight}: {cpu:.0} and {time:.0}"))
        .collect();
    report.note(format!(
        "ledger writes alone, µs of ZooKeeper's processor and µs of time a job, by jobs in flight: {}",
        told.join(", ")
    ));
    let line = |name: &str, of: fn(&(f64, f64, f64)) -> f64| Line {
        name: name.to_owned(),
        points: points.iter().map(|point| (point.0, of(point))).collect(),
    };
    report.series(Series {
        name: "The ledger's writes alone, for a job".to_owned(),
        x: "jobs in flight".to_owned(),
        scale: Scale::Log,
        y: "µs a job".to_owned(),
        lines: vec![
            line("processor time of ZooKeeper", |point| point.1),
            line("time", |point| point.2),
        ],
    });
    Ok(())
}
