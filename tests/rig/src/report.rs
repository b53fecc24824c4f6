//! One page about a run, with a picture: what was done to it, and what came of it.
//!
//! Written for people who were not there: everything on the page is from the history and the verdict, and the command
//! that repeats the run stands on top.

mod faults;
mod page;
mod plot;
mod restarts;
mod spread;

#[cfg(test)]
mod tests;

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

pub use self::page::page;
pub use self::plot::plot;
use crate::{check::Verdict, history::History};

/// The page's name in the directory of a run.
pub const PAGE: &str = "report.md";
/// The picture's name beside it; the page refers to it.
pub const PLOT: &str = "plot.svg";

/// Writes page and picture into the directory of a run.
///
/// # Errors
/// When a file cannot be written.
pub fn write(directory: &Path, history: &History, verdict: &Verdict) -> Result<()> {
    for (name, text) in [(PAGE, page(history, verdict)), (PLOT, plot(history))] {
        let path = directory.join(name);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

/// Milliseconds as a person reads them: `350 ms`, `4.2 s`, `12:05 min`.
fn duration(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => format!("{} min", clock(ms)),
    }
}

/// Milliseconds since the run began as minutes and seconds.
fn clock(ms: u64) -> String {
    format!("{}:{:02}", ms / 60_000, ms / 1_000 % 60)
}
