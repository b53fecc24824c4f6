//! `cargo xtask bench`: how fast distjob is, beside floors, peers, and what a person would use instead.
//!
//! All of it is the work of a program of `tests/bench`; here it gets what it needs, and is run.

use std::{ffi::OsString, path::PathBuf, process::Command};

use anyhow::Result;

use crate::{
    interrupts::Interrupts,
    packages::{self, JQ, REDIS, UNZIP, ZOOKEEPER, ZSTD},
    shell::{cargo, command, target},
    steps::Verdict,
};

/// What is measured, and what measures.
const PROGRAMS: [&str; 4] = ["submitter", "executor-d", "watcher-d", "distjob-bench"];

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Order {
    /// Measure the programs in this directory, without building any
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,

    /// Figures, and how to measure: `--help` after `--` tells
    #[arg(value_name = "FIGURE", trailing_var_arg = true, allow_hyphen_values = true)]
    figures: Vec<OsString>,
}

/// Installs and builds what is needed, and measures.
pub(crate) fn bench(order: &Order) -> Result<Verdict> {
    packages::ensure(&[&ZOOKEEPER, &REDIS, &JQ, &UNZIP, &ZSTD])?;
    let interrupts = Interrupts::catch()?;
    let release = target().join("release");
    if order.programs.is_none() {
        eprintln!("==> building the programs for release");
        let packages = PROGRAMS.iter().flat_map(|package| ["--package", package]);
        interrupts.run(cargo(
            ["build", "--locked", "--release", "--bins"]
                .into_iter()
                .chain(packages),
        ))?;
    }
    let programs = order.programs.as_ref().unwrap_or(&release);
    let mut bench = command(programs.join("distjob-bench"), &order.figures);
    bench.arg("--programs").arg(programs).arg("--out").arg(out());
    // It says all there is to say.
    let good = interrupts.status(&mut bench)?.success();
    Ok(if good { Verdict::Passed } else { Verdict::Failed })
}

/// The command that tries every figure quickly with what was built for tests.
pub(crate) fn quick_run() -> Command {
    let mut bench = command(target().join("debug/distjob-bench"), ["--quick", "--out"]);
    bench.arg(out());
    bench
}

fn out() -> PathBuf {
    target().join("bench")
}
