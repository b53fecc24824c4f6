//! The workspace's own tasks: `cargo xtask verify | fix | test | demo`.
//!
//! Reading order: [`shell`] runs a command, [`steps`] runs many and tells at the end which failed, [`tools`] and
//! [`packages`] fetch what is missing; the rest is one module a task.

mod demo;
mod fix;
mod interrupts;
mod packages;
mod servers;
mod shell;
mod steps;
mod test;
mod tools;
mod units;
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
    /// Run the quick static checks and every suite on real servers
    ///
    /// Installs ZooKeeper, Redis and Python's clients of both from Debian's packages where they are missing. Runs
    /// the suites with cargo-nextest when it is installed, else with cargo test.
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
}

fn main() -> ExitCode {
    let result = match Task::parse() {
        Task::Verify => verify::verify(),
        Task::Fix => fix::fix(),
        Task::Test { runner_args } => test::test(&runner_args),
        Task::Demo => demo::demo(),
    };
    match result {
        Ok(verdict) => verdict.into(),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
