//! The S3 server that suites upload to: moto's, from PyPI, in a virtual environment in `target/moto`.

use anyhow::{Context as _, Result};

use crate::{interrupts::Interrupts, shell::target, venv};

/// Which packages, in which versions.
const REQUIREMENTS: &str = "tests/harness/s3/requirements.txt";

/// Makes the environment where it is missing or of other versions.
///
/// # Errors
///
/// As [`venv::ensure`].
pub(crate) fn ensure(interrupts: &Interrupts) -> Result<()> {
    venv::ensure(interrupts, &target().join("moto"), REQUIREMENTS).context("install moto")
}
