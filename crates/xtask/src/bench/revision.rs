//! The programs of another revision, to compare with.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use super::PROGRAMS;
use crate::{
    interrupts::Interrupts,
    shell::{answers, cargo, command, target},
};

/// Builds the programs of a revision for release, from a work tree of its own, into a target directory of their own; both are
/// kept out of the way below `target`. Returns where the programs are.
pub(super) fn build(interrupts: &Interrupts, revision: &str) -> Result<PathBuf> {
    let commit = commit(revision)?;
    let (tree, built) = (target().join("against/tree"), target().join("against/build"));
    forget(&tree);
    let mut add = git(["worktree", "add", "--quiet", "--force", "--detach"]);
    add.arg(&tree).arg(&commit);
    interrupts.run(add)?;
    eprintln!("==> building the programs of {revision} for release");
    let result = interrupts.run(build_in(&tree, &built));
    forget(&tree);
    result.map(|()| built.join("release"))
}

fn build_in(tree: &Path, built: &Path) -> Command {
    let packages = PROGRAMS.iter().flat_map(|package| ["--package", package]);
    let mut build = cargo(
        ["build", "--locked", "--release", "--bins"]
            .into_iter()
            .chain(packages),
    );
    build.current_dir(tree).env("CARGO_TARGET_DIR", built);
    build
}

/// The full name of a commit, so that nothing else is made of what was asked for.
fn commit(revision: &str) -> Result<String> {
    let mut parse = git(["rev-parse", "--verify", "--quiet", "--end-of-options"]);
    parse.arg(format!("{revision}^{{commit}}"));
    let answer = parse.output().context("run git")?;
    if !answer.status.success() {
        bail!("git knows no revision {revision}");
    }
    Ok(String::from_utf8(answer.stdout)?.trim().to_owned())
}

/// Removes the work tree, if there is one: that of an interrupted run, or one that is no longer needed.
fn forget(tree: &Path) {
    let mut remove = git(["worktree", "remove", "--force"]);
    remove.arg(tree);
    answers(remove);
    answers(git(["worktree", "prune"]));
}

fn git<const N: usize>(args: [&str; N]) -> Command {
    command("git", args)
}
