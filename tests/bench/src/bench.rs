//! What a figure is given.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use harness::{AppendOnly, Program};

use crate::stage::Stage;

/// How to measure, and with which programs.
#[derive(Debug, Clone)]
pub(crate) struct Bench {
    programs: PathBuf,
    peers: PathBuf,
    rounds: usize,
    is_quick: bool,
    tasks: Option<u64>,
    against: Option<PathBuf>,
}

impl Bench {
    /// With the programs in a directory, and peers in another. An error when the programs are not there.
    pub(crate) fn new(
        programs: &Path,
        peers: &Path,
        rounds: usize,
        is_quick: bool,
        tasks: Option<u64>,
    ) -> Result<Self> {
        let peers = std::path::absolute(peers).with_context(|| format!("find {}", peers.display()))?;
        Ok(Self {
            programs: found(programs)?,
            peers,
            rounds,
            is_quick,
            tasks,
            against: None,
        })
    }

    /// With other programs to compare with. An error when they are not there.
    pub(crate) fn against(mut self, programs: &Path) -> Result<Self> {
        self.against = Some(found(programs)?);
        Ok(self)
    }

    /// The same, of the programs to compare with; with these programs where there are no others.
    pub(crate) fn other(&self) -> Self {
        let mut other = self.clone();
        if let Some(programs) = other.against.take() {
            other.programs = programs;
        }
        other
    }

    /// Where peers are installed, those that are.
    pub(crate) fn peers(&self) -> &Path {
        &self.peers
    }

    /// How often each pair is measured by turns.
    pub(crate) fn rounds(&self) -> usize {
        self.rounds
    }

    /// Whether only to see that everything works: speeds mean nothing then, and targets are not judged.
    pub(crate) fn is_quick(&self) -> bool {
        self.is_quick
    }

    /// `count`, or the smaller one when this is quick.
    pub(crate) fn count(&self, count: usize, quick: usize) -> usize {
        if self.is_quick { quick } else { count }
    }

    /// As [`Bench::count`], unless the command line gave a number of tasks.
    pub(crate) fn tasks(&self, count: usize, quick: usize) -> usize {
        let asked = self.tasks.and_then(|tasks| usize::try_from(tasks).ok());
        asked.unwrap_or_else(|| self.count(count, quick))
    }

    /// One of the programs that are measured.
    pub(crate) fn program(&self, name: &str) -> Program {
        Program::at(self.programs.join(name))
    }

    /// Servers of its own, with nobody on them yet.
    pub(crate) async fn stage(&self, append_only: AppendOnly) -> Result<Stage> {
        Stage::new(self, append_only).await
    }
}

/// The full path of a directory that has the programs.
fn found(programs: &Path) -> Result<PathBuf> {
    let programs = std::path::absolute(programs).with_context(|| format!("find {}", programs.display()))?;
    for name in ["submitter", "executor-d", "watcher-d"] {
        ensure!(
            programs.join(name).is_file(),
            "{} has no {name}: `cargo xtask bench` builds what is needed",
            programs.display()
        );
    }
    Ok(programs)
}
