//! `distjob-bench`: how fast distjob is. `cargo xtask bench` builds what it needs and calls it.
//!
//! Absolute figures say more of the machine than of the program, so each measure has its counterpart in the same run: a *floor*,
//! which is a tight program that makes the stores do the same work and nothing else, or a *peer*, or what a person would use
//! instead. The two take turns: what else the machine does hits both. What counts are the ratios.
//!
//! Reading order: [`figure`] lists what is measured, [`figures`] has a file for each, [`floors`] what they are held against;
//! [`mod@bench`] is what a figure is given, [`stage`] the servers and programs that it starts there, [`jobs`] tells when jobs move,
//! [`moments`] when one does, [`arrivals`] when results come, [`usage`] what they cost; [`report`] takes what was measured and writes it down.

mod arrivals;
mod bench;
mod cli;
mod figure;
mod figures;
mod floors;
mod jobs;
mod moments;
mod quantiles;
mod rate;
mod report;
mod stage;
mod usage;

use std::{path::Path, process::ExitCode};

use anyhow::{Context as _, Result};
use clap::Parser as _;
use futures::StreamExt as _;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook_tokio::Signals;

use self::{
    bench::Bench,
    cli::Cli,
    figure::{FIGURES, Figure},
    report::Report,
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    if cli.list {
        FIGURES.iter().for_each(|figure| println!("{figure}"));
        return ExitCode::SUCCESS;
    }
    match run(&cli) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures until the end or a signal. False when a figure failed or a target was missed.
fn run(cli: &Cli) -> Result<bool> {
    let (bench, chosen) = (cli.bench()?, cli.figures()?);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("start the async runtime")?;
    let report = runtime.block_on(async {
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("catch signals")?;
        tokio::select! {
            biased;
            // What was started ends with the story that started it.
            _ = signals.next() => anyhow::bail!("interrupted: everything that was started is stopped and removed"),
            report = measure(&bench, &chosen) => anyhow::Ok(report),
        }
    })?;
    println!("{report}");
    eprintln!("written to {}", report.write(&cli.out)?.display());
    Ok(report.is_good())
}

/// One figure after the other; one that fails does not keep the others from being measured.
async fn measure(bench: &Bench, figures: &[&Figure]) -> Report {
    let mut report = Report::new(bench);
    for figure in figures {
        eprintln!("==> {}: {}", figure.name, figure.about);
        report.begin(figure);
        if let Err(error) = (figure.run)(bench, &mut report).await {
            report.failed(&error);
        }
    }
    report
}

/// The workspace's root directory, as it was when this was built: examples are there.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap_or(Path::new("."))
}
