//! Checks the model from the command line.

use std::process::ExitCode;

use clap::Parser;
use distjob_model::{Bounds, Mutant, check};

/// Explores every state of the protocol within bounds.
#[derive(Debug, Parser)]
struct Cli {
    /// The configuration; all of them without.
    #[arg(long)]
    config: Option<String>,
    /// Seed this bug.
    #[arg(long)]
    mutant: Option<String>,
    /// Threads.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mutant = Mutant::ALL
        .iter()
        .copied()
        .find(|m| Some(m.name()) == cli.mutant.as_deref());
    let mut bounds = Bounds::plain_sailing();
    if let Some(spec) = &cli.config {
        bounds = Bounds::custom(bounds, spec);
    }
    let verdict = check(&bounds, mutant, cli.threads);
    println!("{verdict}");
    if let Some(found) = &verdict.counterexample {
        println!("{found}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
