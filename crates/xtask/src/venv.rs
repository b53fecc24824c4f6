//! Virtual environments of Python with packages from PyPI, below `target`.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

use crate::{
    interrupts::Interrupts,
    shell::{command, root},
};

/// Makes an environment where it is missing or of other versions than `requirements` names, a file that names every
/// package. Needs the network then, for some seconds, and Debian's package `python3-venv`.
///
/// # Errors
///
/// When it cannot be made. What there is of it is made anew the next time.
pub(crate) fn ensure(interrupts: &Interrupts, environment: &Path, requirements: &str) -> Result<()> {
    let wanted =
        fs::read_to_string(root().join(requirements)).with_context(|| format!("read {requirements}"))?;
    // Written last, so that an installation that was interrupted is begun anew.
    let mark = environment.join("requirements.txt");
    if fs::read_to_string(&mark).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    eprintln!("    making {} (once)", environment.display());
    let mut make = command("/usr/bin/python3", ["-m", "venv", "--clear"]);
    make.arg(environment);
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
        requirements,
    ]);
    interrupts
        .run(install)
        .context("install from PyPI, which needs the network")?;
    fs::write(&mark, wanted).with_context(|| format!("write {}", mark.display()))
}
