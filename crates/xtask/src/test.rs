//! `cargo xtask test`: the quick static checks, every suite on real servers, simulations, the benchmark in small, two minutes of
//! faults.

use std::ffi::OsString;

use anyhow::{Result, bail};

use crate::{
    bench, faults,
    interrupts::Interrupts,
    moto,
    packages::{
        self, IPROUTE, JQ, LIBFAKETIME, NODE, PYTHON_KAZOO, PYTHON_REDIS, PYTHON_VENV, REDIS, UNZIP,
        ZOOKEEPER, ZSTD,
    },
    servers::SharedServers,
    shell::{answers, cargo, command, target},
    steps::{Outcome, Steps, Verdict},
    verify,
};

/// Which clusters are simulated; each takes some milliseconds.
const SIMULATED_SEEDS: &str = "0..5000";

/// Runs what `runner_args` select, or everything where there are none.
pub(crate) fn test(runner_args: &[OsString]) -> Result<Verdict> {
    let mut steps = Steps::new("test");
    let everything = runner_args.is_empty();
    if everything {
        verify::quick_checks(&mut steps);
    }
    let installed = steps.step("servers to test against", || {
        packages::ensure(&[
            &ZOOKEEPER,
            &REDIS,
            &PYTHON_KAZOO,
            &PYTHON_REDIS,
            &PYTHON_VENV,
            &IPROUTE,
            &LIBFAKETIME,
            &NODE,
            &JQ,
            &UNZIP,
            &ZSTD,
        ])?;
        Ok(Outcome::Passed)
    });
    // From here on a ctrl-C must not leave servers behind; before, sudo may want the terminal for itself.
    let interrupts = Interrupts::catch()?;
    // Without it those tests fail that upload, and all others can still be run.
    steps.step("an S3 server to upload to", || {
        moto::ensure(&interrupts)?;
        Ok(Outcome::Passed)
    });
    // With the tests' own features, so that nothing is compiled once for the programs and once more for the tests.
    let built = installed
        && steps.step("build", || {
            interrupts.run(cargo(["build", "--locked", "--workspace", "--bins", "--tests"]))?;
            Ok(Outcome::Passed)
        });
    if built {
        let mut servers = None;
        steps.step("servers shared by all suites", || {
            servers = Some(SharedServers::start()?);
            Ok(Outcome::Passed)
        });
        if let Some(servers) = &servers {
            suites(&mut steps, &interrupts, servers, runner_args);
        }
        // The rig brings its own, and has this machine for itself.
        drop(servers);
        if everything {
            programs(&mut steps, &interrupts);
        }
    }
    Ok(steps.finish())
}

fn suites(steps: &mut Steps, interrupts: &Interrupts, servers: &SharedServers, runner_args: &[OsString]) {
    let nextest = answers(cargo(["nextest", "--version"]));
    let (name, mut runner) = if nextest {
        ("suites", cargo(["nextest", "run"]))
    } else {
        (
            "suites and examples in the documentation",
            cargo(["test", "--no-fail-fast"]),
        )
    };
    runner.args(runner_args);
    servers.announce_to(&mut runner);
    steps.step(name, || {
        if !interrupts.status(&mut runner)?.success() {
            // Not the runner's own command line: the servers that it names are gone in a moment.
            bail!("see above which tests failed; repeat one with: cargo xtask test -- <its name>");
        }
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

/// Programs that are built with the tests, and bring their own servers. What is drawn from seeds is drawn from the same ones
/// always.
fn programs(steps: &mut Steps, interrupts: &Interrupts) {
    steps.step("simulations", || {
        interrupts.run(command(
            target().join("debug/distjob-simulation"),
            ["--seeds", SIMULATED_SEEDS],
        ))?;
        Ok(Outcome::Passed)
    });
    steps.step("every figure of the benchmark, quickly", || {
        interrupts.run(bench::quick_run())?;
        Ok(Outcome::Passed)
    });
    steps.step("two minutes of faults", || {
        interrupts.run(faults::test_run())?;
        Ok(Outcome::Passed)
    });
}
