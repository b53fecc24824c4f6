//! One of the project's long-running programs on a host of its own.

use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use harness::Process;

use super::Clock;
use crate::net::Host;

/// A running or ended executor or watcher. Dropping it kills it.
///
/// Everything that a [`Process`] can do it can do too: signals, waiting, its log.
#[derive(Debug)]
pub struct Daemon {
    pub(super) process: Process,
    pub(super) host: Host,
    pub(super) incarnation: u64,
    pub(super) clock: Option<Clock>,
    pub(super) executions: Option<PathBuf>,
}

impl Deref for Daemon {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl Daemon {
    /// Where it runs. Its host outlives it, and has its name.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// How many were started by this name before it.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Its clock; none where the machine's cannot be hidden from it.
    pub fn clock(&self) -> Option<&Clock> {
        self.clock.as_ref()
    }

    /// An executor's file of handler executions, shared with all that had its name.
    pub fn executions(&self) -> Option<&Path> {
        self.executions.as_deref()
    }

    /// How many descriptors it has open. An error when it has ended.
    pub fn descriptors(&self) -> Result<usize> {
        let open = fs::read_dir(format!("/proc/{}/fd", self.pid()))
            .with_context(|| format!("{} has no descriptors: has it ended?", self.name()))?;
        Ok(open.count())
    }
}
