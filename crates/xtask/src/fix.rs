//! `cargo xtask fix`: what can be mended by machine.

use anyhow::Result;

use crate::{
    shell::{cargo, command, run},
    steps::{Outcome, Steps, Verdict},
    tools::TYPOS,
};

/// Mends lints, then spelling, and formats last because the others write code.
pub(crate) fn fix() -> Result<Verdict> {
    let mut steps = Steps::new("fix");
    steps.step("lints", || {
        run(cargo([
            "clippy",
            "--workspace",
            "--all-targets",
            "--fix",
            "--allow-dirty",
            "--allow-staged",
        ]))?;
        Ok(Outcome::Passed)
    });
    steps.step("spelling", || {
        run(command(TYPOS.find_or_install()?, ["--write-changes"]))?;
        Ok(Outcome::Passed)
    });
    steps.step("formatting", || {
        run(cargo(["fmt", "--all"]))?;
        Ok(Outcome::Passed)
    });
    Ok(steps.finish())
}
