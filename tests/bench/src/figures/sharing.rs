//! How many jobs change hands when a member comes or goes, beside the ideal: the newcomer's share, or that of whoever went.
//!
//! Nothing runs here but the arithmetic that every member does alone. What moves beside the ideal is what evens loads out, so
//! that they differ by one at most; that is bounded by a root of the number of jobs, and this is judged.

use std::time::Instant;

use anyhow::{Context as _, Result};
use distjob_core::share::{Sharing, assign};

use crate::{
    bench::Bench,
    report::{Line, Report, Row, Scale, Series},
};

/// Comings and goings of which the middle one counts.
const TRIALS: usize = 3;

/// Of so many roots of the number of jobs no more than one may be moved beside the ideal.
const EXCESS_MAX: f64 = 3.0;

/// Joins and deaths, with few and many jobs among few and many members.
pub(crate) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let members: &[usize] = if bench.is_quick() {
        &[2, 10]
    } else {
        &[2, 10, 50, 300]
    };
    let mut lines = Vec::new();
    for jobs in [1_000, bench.count(100_000, 2_000)] {
        let (mut joins, mut deaths) = (Vec::new(), Vec::new());
        for &members in members {
            let moves = Moves::of(jobs, members)?;
            joins.push((members as f64, excess(&moves.join, jobs)));
            deaths.push((members as f64, excess(&moves.death, jobs)));
            moves.tell(jobs, members, report);
        }
        lines.push(line(format!("{jobs} jobs, a member comes"), joins));
        lines.push(line(format!("{jobs} jobs, a member goes"), deaths));
    }
    report.series(Series {
        name: "jobs that change hands beside the ideal".to_owned(),
        x: "members".to_owned(),
        scale: Scale::Log,
        y: "roots of the number of jobs".to_owned(),
        lines,
    });
    Ok(())
}

fn line(name: String, points: Vec<(f64, f64)>) -> Line {
    Line { name, points }
}

/// How many roots of the number of jobs were moved beside the ideal, in the middle.
fn excess(moves: &[(f64, f64)], jobs: usize) -> f64 {
    let mut beside: Vec<f64> = moves
        .iter()
        .map(|(moved, ideal)| (moved - ideal).max(0.0))
        .collect();
    beside.sort_by(f64::total_cmp);
    beside.get(beside.len() / 2).copied().unwrap_or(f64::NAN) / (jobs as f64).sqrt()
}

/// What was moved, with the ideal, once a trial.
struct Moves {
    join: Vec<(f64, f64)>,
    death: Vec<(f64, f64)>,
    /// How long it took to share out everything, in milliseconds.
    took_ms: Vec<f64>,
}

impl Moves {
    fn of(jobs: usize, members: usize) -> Result<Self> {
        let mut moves = Self {
            join: Vec::new(),
            death: Vec::new(),
            took_ms: Vec::new(),
        };
        for trial in 0..TRIALS {
            let names = |stem: &str, count: usize| -> Vec<String> {
                (0..count)
                    .map(|nth| format!("{stem}-{trial}-{nth:08x}"))
                    .collect()
            };
            let (jobs, mut members) = (names("job", jobs), names("member", members));
            let begun = Instant::now();
            let before = owners(&jobs, &members);
            moves.took_ms.push(begun.elapsed().as_secs_f64() * 1000.0);
            let newcomer = format!("newcomer-{trial}");
            members.push(newcomer.clone());
            let after = owners(&jobs, &members);
            let ideal = after.iter().filter(|owner| **owner == newcomer).count();
            moves.join.push((moved(&before, &after), ideal as f64));
            members.pop();
            let gone = members.pop().context("a member to go")?;
            let ideal = before.iter().filter(|owner| **owner == gone).count();
            moves
                .death
                .push((moved(&before, &owners(&jobs, &members)), ideal as f64));
        }
        Ok(moves)
    }

    fn tell(&self, jobs: usize, members: usize, report: &mut Report) {
        for (what, moves) in [("comes", &self.join), ("goes", &self.death)] {
            let among = format!("{jobs} jobs, {members} members, one {what}");
            report.row(Row::pairs(format!("{among}: moved"), "jobs", "ideal", moves));
            let beside = moves.iter().map(|(moved, ideal)| moved - ideal);
            let bound = EXCESS_MAX * (jobs as f64).sqrt();
            report.row(
                Row::new(
                    format!("{among}: moved beside the ideal"),
                    "jobs",
                    beside.collect::<Vec<_>>(),
                )
                .against("3·√jobs", vec![bound; TRIALS])
                .at_most(1.0),
            );
        }
        report.row(Row::new(
            format!("{jobs} jobs, {members} members: to share them out anew"),
            "ms",
            self.took_ms.clone(),
        ));
    }
}

/// The owner of each job.
fn owners(jobs: &[String], members: &[String]) -> Vec<String> {
    let owners = assign(Sharing::Rendezvous, jobs, members);
    owners.into_iter().map(|owner| members[owner].clone()).collect()
}

fn moved(before: &[String], after: &[String]) -> f64 {
    before
        .iter()
        .zip(after)
        .filter(|(before, after)| before != after)
        .count() as f64
}
