//! Checks the protocol from the command line.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use distjob_model::{
    Bounds, Mutant, check,
    configurations::{LARGE, SMALL},
};

/// Explores every state of the protocol within bounds, and says whether each promise holds.
#[derive(Debug, Parser)]
struct Cli {
    /// Explore this configuration only; without, all small ones.
    #[arg(long, conflicts_with = "all")]
    config: Option<String>,
    /// Explore the large ones, too.
    #[arg(long)]
    all: bool,
    /// Seed this bug, and show how it breaks a promise; in the configuration that shows it unless another one is named.
    #[arg(long, conflicts_with = "all")]
    mutant: Option<String>,
    /// How many threads explore.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the configurations and the bugs.
    List,
}

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    if matches!(cli.command, Some(Command::List)) {
        list();
        return Ok(ExitCode::SUCCESS);
    }
    let mutant = cli.mutant.as_deref().map(mutant).transpose()?;
    let named = cli.config.as_deref().or(mutant.map(|mutant| mutant.shown_by().0));
    let configurations: Vec<&Bounds> = match named {
        Some(name) => {
            vec![Bounds::named(name).with_context(|| format!("there is no configuration {name:?}"))?]
        }
        None if cli.all => SMALL.iter().chain(LARGE).collect(),
        None => SMALL.iter().collect(),
    };
    let mut all_hold = true;
    for bounds in configurations {
        let verdict = check(bounds, mutant, cli.threads);
        println!("{verdict}");
        if let Some(found) = &verdict.counterexample {
            println!("{found}");
            all_hold = false;
        }
    }
    Ok(if all_hold {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn mutant(name: &str) -> anyhow::Result<Mutant> {
    let known = Mutant::ALL.iter().copied().find(|mutant| mutant.name() == name);
    known.with_context(|| format!("there is no bug {name:?} to seed"))
}

fn list() {
    for bounds in SMALL.iter().chain(LARGE) {
        println!("--config {:<20} {}", bounds.name, bounds.about);
    }
    for mutant in Mutant::ALL {
        let (config, invariant) = mutant.shown_by();
        println!("--mutant {mutant:<24} breaks \"{invariant}\" in {config}");
    }
}
