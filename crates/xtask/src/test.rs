//! `cargo xtask test`: the quick static checks, then every suite on real servers.

use std::ffi::OsString;

use anyhow::Result;

use crate::{
    interrupts::Interrupts,
    packages::{self, PYTHON_KAZOO, PYTHON_REDIS, REDIS, ZOOKEEPER},
    shell::{answers, cargo},
    steps::{Outcome, Steps, Verdict},
    verify,
};

/// Runs what `runner_args` select, or everything where there are none.
pub(crate) fn test(runner_args: &[OsString]) -> Result<Verdict> {
    let mut steps = Steps::new("test");
    let everything = runner_args.is_empty();
    if everything {
        verify::quick_checks(&mut steps);
    }
    let installed = steps.step("servers to test against", || {
        packages::ensure(&[&ZOOKEEPER, &REDIS, &PYTHON_KAZOO, &PYTHON_REDIS])?;
        Ok(Outcome::Passed)
    });
    // From here on a ctrl-C must not leave servers behind; before, sudo may want the terminal for itself.
    let interrupts = Interrupts::catch()?;
    // With the tests' own features, so that nothing is compiled once for the programs and once more for the tests.
    let built = installed
        && steps.step("build", || {
            interrupts.run(cargo(["build", "--locked", "--workspace", "--bins", "--tests"]))?;
            Ok(Outcome::Passed)
        });
    if built {
        suites(&mut steps, &interrupts, runner_args);
    }
    Ok(steps.finish())
}

fn suites(steps: &mut Steps, interrupts: &Interrupts, runner_args: &[OsString]) {
    let nextest = answers(cargo(["nextest", "--version"]));
    let (name, mut runner) = if nextest {
        ("suites", cargo(["nextest", "run", "--workspace"]))
    } else {
        (
            "suites and examples in the documentation",
            cargo(["test", "--workspace", "--no-fail-fast"]),
        )
    };
    runner.args(runner_args);
    steps.step(name, || {
        interrupts.run(runner)?;
        Ok(Outcome::Passed)
    });
    // cargo-nextest runs no doc tests; cargo test just did.
    if nextest && runner_args.is_empty() {
        steps.step("examples in the documentation", || {
            interrupts.run(cargo(["test", "--locked", "--workspace", "--doc"]))?;
            Ok(Outcome::Passed)
        });
    }
}
