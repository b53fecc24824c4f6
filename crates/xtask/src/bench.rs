//! `cargo xtask bench`: how fast distjob is, beside floors, peers, and what a person would use instead.
//!
//! All of it is the work of a program of `tests/bench`; here it gets what it needs, and is run.

mod revision;

use std::{ffi::OsString, path::PathBuf, process::Command};

use anyhow::Result;

use crate::{
    interrupts::Interrupts,
    packages::{self, JQ, REDIS, UNZIP, ZOOKEEPER, ZSTD},
    peers,
    shell::{cargo, command, target},
    steps::Verdict,
};

/// What is measured.
const PROGRAMS: [&str; 3] = ["submitter", "executor-d", "watcher-d"];
/// What measures.
const BENCH: &str = "distjob-bench";

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Order {
    /// Compare with the programs of another revision in what matters most, and see that nothing has become slower
    #[arg(long, value_name = "REV")]
    against: Option<String>,

    /// Measure the programs in this directory, with the distjob-bench that is there, without building any
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,

    /// Figures, and how to measure: `cargo xtask bench -- --list` and `-- --help` tell, and build nothing that is measured
    #[arg(value_name = "FIGURE", trailing_var_arg = true, allow_hyphen_values = true)]
    figures: Vec<OsString>,
}

/// What only asks the benchmark about itself.
const QUESTIONS: [&str; 5] = ["--list", "--help", "-h", "--version", "-V"];

/// Installs and builds what is needed, and measures.
pub(crate) fn bench(order: &Order) -> Result<Verdict> {
    if is_question(&order.figures) {
        return ask(order);
    }
    packages::ensure(&[&ZOOKEEPER, &REDIS, &JQ, &UNZIP, &ZSTD])?;
    let with_peers = order.against.is_none() && peers::are_wanted(&order.figures);
    if with_peers {
        peers::ensure_packages();
    }
    let interrupts = Interrupts::catch()?;
    if with_peers {
        eprintln!("==> other queues, to measure beside");
        peers::ensure(&interrupts)?;
    }
    let programs = programs(order, &interrupts)?;
    let mut bench = command(programs.join(BENCH), &order.figures);
    bench.arg("--programs").arg(&programs).arg("--out").arg(out());
    bench.arg("--peers").arg(peers::directory());
    if let Some(revision) = &order.against {
        bench
            .arg("--against")
            .arg(revision::build(&interrupts, revision)?);
    }
    // It says all there is to say.
    let good = interrupts.status(&mut bench)?.success();
    Ok(if good { Verdict::Passed } else { Verdict::Failed })
}

/// Whether these arguments have nothing measured.
fn is_question(figures: &[OsString]) -> bool {
    figures
        .iter()
        .any(|word| QUESTIONS.iter().any(|question| word == question))
}

/// Lets the benchmark answer, with nothing installed and nothing built but itself, as quickly as that can be.
fn ask(order: &Order) -> Result<Verdict> {
    let mut bench = match &order.programs {
        Some(programs) => command(programs.join(BENCH), &order.figures),
        None => {
            let run = ["run", "--locked", "--quiet", "--package", BENCH, "--"];
            let mut run = cargo(run);
            run.args(&order.figures);
            run
        }
    };
    let good = Interrupts::catch()?.status(&mut bench)?.success();
    Ok(if good { Verdict::Passed } else { Verdict::Failed })
}

/// The directory of what is measured and what measures, built unless it was given.
fn programs(order: &Order, interrupts: &Interrupts) -> Result<PathBuf> {
    if let Some(programs) = &order.programs {
        return Ok(programs.clone());
    }
    eprintln!("==> building the programs for release");
    let packages = PROGRAMS.iter().chain([&BENCH]);
    let packages = packages.flat_map(|package| ["--package", package]);
    let build = ["build", "--locked", "--release", "--bins"];
    interrupts.run(cargo(build.into_iter().chain(packages)))?;
    Ok(target().join("release"))
}

/// The command that tries every figure quickly with what was built for tests.
pub(crate) fn quick_run() -> Command {
    let mut bench = command(target().join("debug").join(BENCH), ["--quick", "--out"]);
    bench.arg(out());
    bench
}

fn out() -> PathBuf {
    target().join("bench")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_about_the_benchmark_is_told_from_an_order() {
        let is_question = |line: &str| is_question(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert!(is_question("--list"));
        assert!(is_question("throughput --help"));
        assert!(!is_question("throughput --rounds 5"));
        assert!(!is_question("--quick"));
    }
}
