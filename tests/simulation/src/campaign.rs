//! Many runs, on several threads.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use crate::{
    plan::{FaultKind, Faults},
    run::{Bug, Order, Report, run},
};

/// So many lines of the end of a run that failed are told.
const TAIL_LINES: usize = 60;

/// Which runs, and how.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// The seeds.
    pub seeds: Range<u64>,
    /// Which faults strike.
    pub faults: Faults,
    /// What is wrong with the models, on purpose.
    pub bug: Option<Bug>,
    /// How many run at once.
    pub threads: usize,
    /// After so many failures no further run begins.
    pub failures_max: usize,
}

/// What came of them.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Runs.
    pub runs: u64,
    /// Milliseconds of virtual time.
    pub elapsed_ms: u64,
    /// The longest recovery, in milliseconds after the last fault, and the seed that had it.
    pub slowest: (u64, u64),
    /// Jobs that were submitted, or tried to be.
    pub jobs: u64,
    /// Jobs that were delivered.
    pub delivered: u64,
    /// Jobs that were declared lost.
    pub lost: u64,
    /// Executions of tasks.
    pub executions: u64,
    /// Executions beyond one a task.
    pub duplicates: u64,
    /// Faults that struck, by kind.
    pub faults: BTreeMap<FaultKind, u64>,
    /// The seeds that failed.
    pub failed: Vec<u64>,
}

impl Campaign {
    /// Runs all seeds. Each that fails is run again to be read, and told with the end of what happened in it.
    pub fn run(&self, tell: impl Fn(&Order, &Report) + Sync) -> Totals {
        let next = AtomicU64::new(self.seeds.start);
        let is_enough = AtomicBool::new(false);
        let totals = Mutex::new(Totals::default());
        let work = || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= self.seeds.end || is_enough.load(Ordering::Relaxed) {
                    break;
                }
                let report = run(&self.order(seed));
                let mut totals = totals.lock().unwrap_or_else(PoisonError::into_inner);
                totals.add(&report);
                if !report.violations.is_empty() {
                    let order = Order {
                        is_recording: true,
                        ..self.order(seed)
                    };
                    let mut again = run(&order);
                    let skipped = again.trace.len().saturating_sub(TAIL_LINES);
                    again.trace.drain(..skipped);
                    tell(&order, &again);
                    let is_last = totals.failed.len() >= self.failures_max;
                    is_enough.fetch_or(is_last, Ordering::Relaxed);
                }
            }
        };
        thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                scope.spawn(work);
            }
        });
        totals.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn order(&self, seed: u64) -> Order {
        Order {
            seed,
            faults: self.faults.clone(),
            is_recording: false,
            bug: self.bug,
        }
    }
}

impl Totals {
    fn add(&mut self, report: &Report) {
        self.runs += 1;
        self.elapsed_ms += report.elapsed_ms;
        self.slowest = self.slowest.max((report.recovery_ms, report.seed));
        self.jobs += report.jobs;
        self.delivered += report.delivered;
        self.lost += report.lost;
        self.executions += report.executions;
        self.duplicates += report.duplicates;
        for (kind, count) in &report.faults {
            *self.faults.entry(*kind).or_default() += count;
        }
        if !report.violations.is_empty() {
            self.failed.push(report.seed);
        }
    }
}
