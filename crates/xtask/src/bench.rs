//! `cargo xtask bench handlers`: how fast handlers are, beside what a person would use instead.
//!
//! Absolute figures say more of the machine than of the program, so each measure has its counterpart in the same run, and
//! the two take turns: what else the machine does hits both. Private servers, release builds, nothing left behind.
//!
//! Reading order: [`rates`] is what is measured of speed, [`tail`] of the ends of jobs, [`stage`] runs one measure.

mod rates;
mod stage;
mod table;
mod tail;

use anyhow::Result;
use clap::{Args, Subcommand};

use self::table::Table;
use crate::{
    interrupts::Interrupts,
    packages::{self, REDIS, ZOOKEEPER},
    shell::cargo,
    steps::Verdict,
};

/// What to measure.
#[derive(Debug, Subcommand)]
pub(crate) enum Order {
    /// Handlers: processes against xargs, workers against a program for each task, functions, and the ends of jobs
    Handlers(Handlers),
}

/// How to measure handlers.
#[derive(Debug, Args)]
pub(crate) struct Handlers {
    /// How often each pair is measured; the middle one of the ratios counts
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Tasks of a job that runs a process for each
    #[arg(long, default_value_t = 5_000)]
    tasks: usize,
    /// Measure what target/release has, without building it again
    #[arg(long)]
    as_built: bool,
}

/// Measures.
pub(crate) fn bench(order: &Order) -> Result<Verdict> {
    let Order::Handlers(handlers) = order;
    packages::ensure(&[&ZOOKEEPER, &REDIS])?;
    let interrupts = Interrupts::catch()?;
    if !handlers.as_built {
        eprintln!("==> building the programs for release");
        interrupts.run(cargo([
            "build",
            "--release",
            "--package",
            "submitter",
            "--package",
            "executor-d",
        ]))?;
    }
    interrupts.play(measure(handlers))
}

async fn measure(handlers: &Handlers) -> Result<Verdict> {
    let mut table = Table::default();
    rates::processes(handlers, &mut table).await?;
    rates::workers(handlers, &mut table).await?;
    rates::functions(handlers, &mut table).await?;
    tail::tails(&mut table).await?;
    println!("{table}");
    Ok(Verdict::Passed)
}
