//! What a figure is given.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use harness::{AppendOnly, Program};

use crate::stage::Stage;

/// How to measure, and with which programs.
#[derive(Debug, Clone)]
pub(crate) struct Bench {
    programs: PathBuf,
    rounds: usize,
    is_quick: bool,
    tasks: Option<u64>,
}

impl Bench {
    /// With the programs in a directory. An error when they are not there.
    pub(crate) fn new(programs: &Path, rounds: usize, is_quick: bool, tasks: Option<u64>) -> Result<Self> {
        let programs =
            std::path::absolute(programs).with_context(|| format!("find {}", programs.display()))?;
        for name in ["submitter", "executor-d", "watcher-d"] {
            ensure!(
                programs.join(name).is_file(),
                "{} has no {name}: `cargo xtask bench` builds what is needed",
                programs.display()
            );
        }
        Ok(Self {
            programs,
            rounds,
            is_quick,
            tasks,
        })
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
