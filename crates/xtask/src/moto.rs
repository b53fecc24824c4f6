//! The S3 server that suites upload to: moto's, from PyPI, in a virtual environment in `target/moto`.

use std::fs;

use anyhow::{Context as _, Result};

use crate::{
    interrupts::Interrupts,
    shell::{command, root, target},
};

/// Which packages, in which versions.
const REQUIREMENTS: &str = "tests/harness/s3/requirements.txt";

/// Makes the environment where it is missing or of other versions. Needs the network then, for some seconds, and Debian's
/// package `python3-venv`.
pub(crate) fn ensure(interrupts: &Interrupts) -> Result<()> {
    let wanted = fs::read_to_string(root().join(REQUIREMENTS)).context("read what moto needs")?;
    let environment = target().join("moto");
    // Written last, so that an installation that was interrupted is begun anew.
    let mark = environment.join("requirements.txt");
    if fs::read_to_string(&mark).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    eprintln!("    making {} (once)", environment.display());
    let mut make = command("/usr/bin/python3", ["-m", "venv", "--clear"]);
    make.arg(&environment);
    interrupts.run(make)?;
    // Wheels only: nothing is built, no compiler is needed.
    let mut install = command(
        environment.join("bin/python3"),
        ["-m", "pip", "--disable-pip-version-check", "install"],
    );
    install.args([
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
        "--requirement",
        REQUIREMENTS,
    ]);
    interrupts
        .run(install)
        .context("install moto from PyPI, which needs the network")?;
    fs::write(&mark, wanted).with_context(|| format!("write {}", mark.display()))
}
