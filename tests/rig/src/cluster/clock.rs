//! A clock of its own for a process: Debian's libfaketime stands between it and the time of day.
//!
//! Only the time of day moves. Monotonic clocks, from which timeouts are reckoned, are those of the machine.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use harness::Program;

const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

/// The clock of one process, in a file that the library reads each second.
#[derive(Debug, Clone)]
pub struct Clock {
    file: PathBuf,
}

impl Clock {
    /// Whether processes can be given clocks; an error that says what to install.
    pub fn possible() -> Result<()> {
        ensure!(
            Path::new(LIBRARY).exists(),
            "{LIBRARY} is missing: install Debian's package libfaketime"
        );
        Ok(())
    }

    /// A clock that is right, told by the file `<dir>/<name>.clock`.
    pub(super) fn right(dir: &Path, name: &str) -> Result<Clock> {
        Clock::possible()?;
        let clock = Clock {
            file: dir.join(format!("{name}.clock")),
        };
        clock.shift(0)?;
        Ok(clock)
    }

    /// Moves the clock to so many seconds after the right time, or before it. The process sees it within a second.
    pub fn shift(&self, seconds: i64) -> Result<()> {
        // Renamed into place: the library must never read half a number.
        let fresh = self.file.with_extension("clock.new");
        fs::write(&fresh, format!("{seconds:+}\n")).context("write a clock")?;
        fs::rename(&fresh, &self.file).context("move a clock")
    }

    /// Lets a program live by this clock.
    pub(super) fn give(&self, program: Program) -> Program {
        program
            .env("LD_PRELOAD", LIBRARY)
            .env("FAKETIME_TIMESTAMP_FILE", &self.file)
            .env("FAKETIME_CACHE_DURATION", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    }
}
