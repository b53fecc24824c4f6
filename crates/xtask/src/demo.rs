//! `cargo xtask demo`: the whole of distjob at work on this machine, in under a minute.
//!
//! Private servers, two watchers and three executors share four batches of the original article. In the middle an
//! executor and a watcher are killed and a new executor comes; in the end every single result is checked. Nothing
//! is left behind, also after ctrl-C: every process dies with this one, and all files are in one temporary directory.
//!
//! Reading order: [`play`] is the story, [`cast`] the programs in it, [`scene`] and [`status`] what is shown of it,
//! [`review`] the check of what came out.

mod cast;
mod play;
mod review;
mod scene;
mod status;

use anyhow::{Context as _, Result};
use harness::KEEP;

use crate::{
    interrupts::Interrupts,
    packages::{self, REDIS, ZOOKEEPER},
    shell::cargo,
    steps::Verdict,
};

/// Shows it.
pub(crate) fn demo() -> Result<Verdict> {
    packages::ensure(&[&ZOOKEEPER, &REDIS])?;
    let interrupts = Interrupts::catch()?;
    eprintln!("==> building the programs");
    interrupts.run(cargo([
        "build",
        "--package",
        "submitter",
        "--package",
        "watcher-d",
        "--package",
        "executor-d",
        "--package",
        "distjobctl",
    ]))?;
    let verdict = interrupts.play(play::play());
    verdict.with_context(|| format!("play the demo (with {KEEP}=1 the logs of all programs stay)"))
}
