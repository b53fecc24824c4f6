//! The workspace's own tasks: `cargo xtask verify | fix | test | demo | faults | fuzz | bench`.
//!
//! Reading order: [`shell`] runs a command, [`steps`] runs many and tells at the end which failed, [`tools`],
//! [`packages`] and [`moto`] fetch what is missing; the rest is one module a task.

mod bench;
mod demo;
mod faults;
mod fix;
mod fuzz;
mod interrupts;
mod moto;
mod packages;
mod peers;
mod servers;
mod shell;
mod steps;
mod test;
mod tools;
mod units;
mod venv;
mod verify;

use std::{ffi::OsString, process::ExitCode};

use clap::Parser;

/// The workspace's own tasks.
#[derive(Parser)]
#[command(bin_name = "cargo xtask", version)]
enum Task {
    /// Run every static check; change nothing in the tree
    ///
    /// Formatting, lints, documentation, dependencies, spelling, systemd units. Tools that are missing are built
    /// into target/tools; the first run takes a few minutes for that.
    Verify,
    /// Mend what can be mended by machine: formatting, lints, spelling
    Fix,
    /// Run the quick static checks, every suite on real servers, simulations, and two minutes of faults
    ///
    /// Installs ZooKeeper, Redis, Python's clients of both, Node and jq from Debian's packages where they are missing, and an
    /// S3 server from PyPI into target/moto. Runs the suites with cargo-nextest when it is installed, else with cargo test. Simulations and faults have fixed
    /// seeds; other ones: cargo run --package distjob-simulation -- --help, cargo xtask faults --help.
    Test {
        /// Arguments for the test runner, for example `-- -p distjob-core share`; then only what they select runs,
        /// without static checks and doc tests
        #[arg(last = true, value_name = "RUNNER ARGUMENT")]
        runner_args: Vec<OsString>,
    },
    /// Show the whole at work: private servers, watchers, executors, four batches, deaths in the middle
    ///
    /// Takes less than a minute after the build. Installs ZooKeeper and Redis from Debian's packages where they are
    /// missing. Leaves nothing behind, also after ctrl-C.
    Demo,
    /// Let real processes and servers suffer faults, and judge what came of it
    ///
    /// Three ZooKeeper servers, Redis, executors, watchers and submitters, each in a network namespace of its own where
    /// this is root; faults by seed, alone and in pairs, while jobs flow; in the end everything that was promised is
    /// checked. Writes history, logs, report.md and plot.svg to `target/faults/<seed>-<time>`. The exit status is 0 only
    /// when nothing is wrong. Installs the servers, iproute2 and libfaketime from Debian's packages where they are
    /// missing.
    Faults(faults::Order),
    /// Try the parsers on inputs that grow by what they reach in the code
    ///
    /// Each target runs for some minutes; what it finds stays in target/fuzz/artifacts. The same properties are tried
    /// on random inputs by every `cargo xtask test`. Builds cargo-fuzz into target/tools where it is missing; needs a
    /// C++ compiler (build-essential).
    Fuzz(fuzz::Order),
    /// Measure, beside floors and what a person would use instead
    ///
    /// Builds for release and starts private servers. Each figure has a counterpart in the same run, by turns: what counts are
    /// the ratios. Prints one table, and writes it with a picture of each figure to
    /// `target/bench/<time>`. The exit status is 0 only when no target was missed.
    Bench(bench::Order),
}

fn main() -> ExitCode {
    let result = match Task::parse() {
        Task::Verify => verify::verify(),
        Task::Fix => fix::fix(),
        Task::Test { runner_args } => test::test(&runner_args),
        Task::Demo => demo::demo(),
        Task::Faults(order) => faults::faults(&order),
        Task::Fuzz(order) => fuzz::fuzz(&order),
        Task::Bench(order) => bench::bench(&order),
    };
    match result {
        Ok(verdict) => verdict.into(),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
