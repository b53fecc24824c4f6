//! `cargo xtask bench handlers`: how fast handlers are, beside what a person would use instead; `bench large`: one job of
//! very many tasks, in how much memory.
//!
//! Absolute figures say more of the machine than of the program, so each measure has its counterpart in the same run, and
//! the two take turns: what else the machine does hits both. Private servers, release builds, nothing left behind.
//!
//! Reading order: [`rates`] is what is measured of speed, [`tail`] of the ends of jobs, [`large`] of a large one; [`stage`] runs
//! one measure.

mod large;
mod rates;
mod stage;
mod table;
mod tail;

use anyhow::Result;
use clap::{Args, Subcommand};

use self::{large::Large, table::Table};
use crate::{
    interrupts::Interrupts,
    packages::{self, JQ, REDIS, UNZIP, ZOOKEEPER, ZSTD},
    shell::cargo,
    steps::Verdict,
};

/// What is measured.
const PROGRAMS: [&str; 3] = ["submitter", "executor-d", "watcher-d"];

/// What to measure.
#[derive(Debug, Subcommand)]
pub(crate) enum Order {
    /// Handlers: processes against xargs, workers against a program for each task, functions, and the ends of jobs
    Handlers(Handlers),
    /// One large job: submitted, run, delivered as zstd and as zip, and read by standard tools
    ///
    /// Ten million tasks take some minutes, 2 GB of memory for Redis and 2 GB of disk in the temporary directory.
    Large(Large),
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
    let (as_built, more): (_, &[_]) = match order {
        Order::Handlers(order) => (order.as_built, &[]),
        Order::Large(order) => (order.as_built, &[&JQ, &UNZIP, &ZSTD]),
    };
    packages::ensure(&[&[&ZOOKEEPER, &REDIS], more].concat())?;
    let interrupts = Interrupts::catch()?;
    if !as_built {
        eprintln!("==> building the programs for release");
        let packages = PROGRAMS.iter().flat_map(|package| ["--package", package]);
        interrupts.run(cargo(["build", "--release"].into_iter().chain(packages)))?;
    }
    match order {
        Order::Handlers(order) => interrupts.play(handlers(order)),
        Order::Large(order) => interrupts.play(large::large(order)),
    }
}

async fn handlers(order: &Handlers) -> Result<Verdict> {
    let mut table = Table::default();
    rates::processes(order, &mut table).await?;
    rates::workers(order, &mut table).await?;
    rates::functions(order, &mut table).await?;
    tail::tails(&mut table).await?;
    println!("{table}");
    Ok(Verdict::Passed)
}
