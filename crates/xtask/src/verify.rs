//! `cargo xtask verify`: everything that can be checked without running the programs.

use std::{env, fs, path::PathBuf};

use anyhow::Result;

use crate::{
    shell::{answers, cargo, command, run},
    steps::{Outcome, Steps, Verdict},
    tools::{DENY, MACHETE, TYPOS},
    units,
};

/// Runs every static check and changes nothing in the tree.
pub(crate) fn verify() -> Result<Verdict> {
    let mut steps = Steps::new("verify");
    quick_checks(&mut steps);
    steps.step("dependencies: licences, sources, bans", || {
        // The graph of a lock file names crates of every platform; cargo-deny itself may not fetch them offline.
        run(cargo(["fetch", "--locked"]))?;
        run(command(
            DENY.find_or_install()?,
            ["--offline", "check", "bans", "licenses", "sources"],
        ))?;
        Ok(Outcome::Passed)
    });
    steps.step("dependencies: security advisories", advisories);
    steps.step("dependencies: unused", || {
        run(command(MACHETE.find_or_install()?, ["."]))?;
        Ok(Outcome::Passed)
    });
    steps.step("spelling", || {
        run(command(TYPOS.find_or_install()?, ["."]))?;
        Ok(Outcome::Passed)
    });
    steps.step("systemd units", units::verify);
    Ok(steps.finish())
}

/// The static checks that need nothing but the toolchain: formatting, lints, documentation.
pub(crate) fn quick_checks(steps: &mut Steps) {
    steps.step("formatting", || {
        run(cargo(["fmt", "--all", "--check"]))?;
        Ok(Outcome::Passed)
    });
    steps.step("lints", || {
        run(cargo([
            "clippy",
            "--locked",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]))?;
        Ok(Outcome::Passed)
    });
    steps.step("documentation", || {
        let mut doc = cargo([
            "doc",
            "--locked",
            "--workspace",
            "--no-deps",
            "--document-private-items",
        ]);
        doc.env("RUSTDOCFLAGS", "-D warnings");
        run(doc)?;
        Ok(Outcome::Passed)
    });
}

/// Checks against the advisory database, which lives in a git repository: where that cannot be reached, the copy of
/// an earlier run is used, and without one nothing can be said.
fn advisories() -> Result<Outcome> {
    let deny = DENY.find_or_install()?;
    let fetched = answers(command(&deny, ["fetch", "db"]));
    if !fetched && !has_advisory_database() {
        return Ok(Outcome::NotChecked(
            "the advisory database could not be fetched; with a network, run `cargo xtask verify` again"
                .to_owned(),
        ));
    }
    run(command(&deny, ["--offline", "check", "advisories"]))?;
    if fetched {
        return Ok(Outcome::Passed);
    }
    Ok(Outcome::NotChecked(
        "only an older copy of the advisory database is here; it has nothing against us".to_owned(),
    ))
}

/// Whether cargo-deny's directory holds a clone; its lock file is there after a failed attempt too.
fn has_advisory_database() -> bool {
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo_home = cargo_home.or_else(|| Some(env::home_dir()?.join(".cargo")));
    let Some(Ok(mut entries)) = cargo_home.map(|home| fs::read_dir(home.join("advisory-dbs"))) else {
        return false;
    };
    entries.any(|entry| entry.is_ok_and(|entry| entry.path().is_dir()))
}
