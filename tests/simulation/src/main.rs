//! Runs simulations by seed: `--seeds 0..5000`, or one to be read: `--seed 17 --trace`.

use std::{ops::Range, process::ExitCode, time::Instant};

use clap::Parser;
use distjob_simulation::{
    campaign::{Campaign, Totals},
    plan::{Faults, Plan},
    run::{Bug, Order, Report, run},
};

/// Simulates whole clusters with faults, by seed.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// The seeds, from the first to before the last.
    #[arg(long, default_value = "0..1000", value_parser = seeds, value_name = "A..B")]
    seeds: Range<u64>,
    /// One seed only.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Print the plan and all that happens; for one seed.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Which kinds of faults strike: all, none, or names with commas between.
    #[arg(long, default_value = "all")]
    faults: Faults,
    /// What is wrong with the models, on purpose.
    #[arg(long)]
    bug: Option<Bug>,
    /// How many run at once.
    #[arg(long, default_value_t = std::thread::available_parallelism().map_or(1, usize::from))]
    threads: usize,
    /// Stop after so many seeds that failed.
    #[arg(long, default_value_t = 5)]
    failures: usize,
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or("must be like 0..5000")?;
    let number = |text: &str| text.parse::<u64>().map_err(|error| format!("{text:?}: {error}"));
    let seeds = number(from)?..number(to)?;
    match seeds.is_empty() {
        true => Err("must not be empty".to_owned()),
        false => Ok(seeds),
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    match args.seed {
        Some(seed) => one(&args, seed),
        None => many(&args),
    }
}

fn one(args: &Args, seed: u64) -> ExitCode {
    let order = Order {
        seed,
        faults: args.faults.clone(),
        is_recording: args.trace,
        bug: args.bug,
    };
    if args.trace {
        println!("{:#?}", Plan::draw(seed, &args.faults));
    }
    let report = run(&order);
    for line in &report.trace {
        println!("{line}");
    }
    println!(
        "seed {seed}: {} ms, {} marks, hash {:016x}, {} of {} jobs delivered, {} lost, {} executions, {} of them again",
        report.elapsed_ms,
        report.marks,
        report.hash,
        report.delivered,
        report.jobs,
        report.lost,
        report.executions,
        report.duplicates
    );
    for violation in &report.violations {
        println!("VIOLATION {violation}");
    }
    match report.violations.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn many(args: &Args) -> ExitCode {
    let began = Instant::now();
    let campaign = Campaign {
        seeds: args.seeds.clone(),
        faults: args.faults.clone(),
        bug: args.bug,
        threads: args.threads,
        failures_max: args.failures,
    };
    let totals = campaign.run(tell);
    print(&totals, began.elapsed().as_secs_f64());
    match totals.failed.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Tells of a run that failed, and how to repeat it.
fn tell(order: &Order, report: &Report) {
    println!("seed {} failed:", report.seed);
    for violation in &report.violations {
        println!("  {violation}");
    }
    println!("  the end of it:");
    for line in &report.trace {
        println!("    {line}");
    }
    println!("  repeat it: {}", order.command());
}

fn print(totals: &Totals, seconds: f64) {
    let runs = totals.runs;
    println!(
        "{runs} seeds in {seconds:.1} s, {:.0} a minute; {} hours of virtual time",
        60.0 * f64::from(u32::try_from(runs).unwrap_or(u32::MAX)) / seconds,
        totals.elapsed_ms / 3_600_000
    );
    println!(
        "{} jobs submitted, {} delivered, {} lost; {} tasks run, {} of them again",
        totals.jobs, totals.delivered, totals.lost, totals.executions, totals.duplicates
    );
    let (recovery_ms, seed) = totals.slowest;
    println!("the slowest recovery took {recovery_ms} ms (seed {seed})");
    for (kind, count) in &totals.faults {
        println!("{count:>8} {kind}");
    }
    match totals.failed.as_slice() {
        [] => println!("no violation"),
        failed => println!("{} seeds failed: {failed:?}", failed.len()),
    }
}
