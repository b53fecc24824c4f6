//! Other queues over Redis, for the benchmark: from Debian's packages, or in pinned versions into `target/peers`.
//!
//! A peer that cannot be installed is left out of the figure; everything else is measured all the same.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::{
    interrupts::Interrupts,
    packages::{self, NODE, NPM, PYTHON_VENV, Package, RUBY_HIREDIS, RUBY_SIDEKIQ},
    shell::{cargo, command, root, target},
    venv,
};

/// The figure that needs them.
const FIGURE: &str = "peers";

/// Their scripts, and which versions they are for.
const SCRIPTS: &str = "tests/bench/peers";

/// What Debian has of a peer.
const PACKAGES: [(&str, &[&Package]); 3] = [
    ("BullMQ", &[&NODE, &NPM]),
    ("Sidekiq", &[&RUBY_SIDEKIQ, &RUBY_HIREDIS]),
    ("Celery and RQ", &[&PYTHON_VENV]),
];

/// How what Debian does not have is installed, into a directory of its own.
type Install = fn(&Interrupts, &Path) -> Result<()>;
const INSTALLS: [(&str, &str, Install); 3] = [
    ("BullMQ", "bullmq", bullmq),
    ("Celery and RQ", "python", python),
    ("apalis-redis", "apalis", apalis),
];

/// Where they are installed.
pub(crate) fn directory() -> PathBuf {
    target().join("peers")
}

/// Whether these arguments of the benchmark make it measure peers: they name that figure, or none.
pub(crate) fn are_wanted(figures: &[OsString]) -> bool {
    let is_name = |word: &&str| word.starts_with(|letter: char| letter.is_ascii_lowercase());
    let mut names = figures.iter().filter_map(|word| word.to_str()).filter(is_name);
    let is_alone = names.clone().next().is_none();
    is_alone || names.any(|name| name == FIGURE)
}

/// Installs what Debian has of them. Before signals are caught: sudo may want the terminal for itself.
pub(crate) fn ensure_packages() {
    for (peer, packages) in PACKAGES {
        if let Err(error) = packages::ensure(packages) {
            say(peer, &error);
        }
    }
}

/// Installs the rest of them, the first time in about two minutes; needs the network then.
///
/// # Errors
///
/// After a signal only.
pub(crate) fn ensure(interrupts: &Interrupts) -> Result<()> {
    for (peer, name, install) in INSTALLS {
        if let Err(error) = install(interrupts, &directory().join(name)) {
            interrupts.check()?;
            say(peer, &error);
        }
    }
    Ok(())
}

fn say(peer: &str, error: &anyhow::Error) {
    eprintln!("    {peer} will be left out: {error:#}");
}

/// BullMQ from npm's registry, with what its lock file names. Its packages' own scripts are not run.
fn bullmq(interrupts: &Interrupts, into: &Path) -> Result<()> {
    let wanted = root().join(SCRIPTS).join("bullmq");
    let read = |name: &str| fs::read(wanted.join(name)).with_context(|| format!("read {name} of BullMQ"));
    let lock = read("package-lock.json")?;
    // Written last, so that an installation that was interrupted is begun anew.
    let mark = into.join("installed");
    if fs::read(&mark).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    fs::create_dir_all(into).with_context(|| format!("create {}", into.display()))?;
    for name in ["package.json", "package-lock.json"] {
        fs::write(into.join(name), read(name)?).with_context(|| format!("write {name}"))?;
    }
    let mut install = command(
        "npm",
        ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"],
    );
    install.arg(into);
    interrupts
        .run(install)
        .context("install BullMQ from npm's registry, which needs the network")?;
    fs::write(&mark, lock).with_context(|| format!("write {}", mark.display()))
}

/// Celery and RQ from PyPI.
fn python(interrupts: &Interrupts, into: &Path) -> Result<()> {
    venv::ensure(interrupts, into, &format!("{SCRIPTS}/requirements.txt"))
}

/// apalis-redis from crates.io: a program of ours around it. Cargo sees whether it is built.
fn apalis(interrupts: &Interrupts, into: &Path) -> Result<()> {
    let manifest = format!("{SCRIPTS}/apalis/Cargo.toml");
    let mut build = cargo([
        "build",
        "--locked",
        "--release",
        "--quiet",
        "--manifest-path",
        &manifest,
    ]);
    build.arg("--target-dir").arg(into);
    interrupts.run(build)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn are_wanted(line: &str) -> bool {
        super::are_wanted(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn peers_are_installed_when_they_are_measured_and_only_then() {
        assert!(are_wanted(""));
        assert!(are_wanted("--rounds 5"));
        assert!(are_wanted("throughput peers"));
        assert!(!are_wanted("throughput --rounds 5"));
    }
}
