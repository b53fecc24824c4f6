//! Everything that is known of a run, as it was written down while it happened.
//!
//! A [`Recorder`] appends each [`Event`] as one line of JSON, stamped with the milliseconds since the run began; a
//! [`History`] is those lines, read back or taken over. The checker and the report know of a run what is in here, and
//! nothing else, besides the files that the run delivered and the servers' own logs.

mod event;
mod leftovers;
mod parameters;
mod recorder;

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

pub use self::event::{Answer, Event, Exit, How, Role, Sample};
pub use self::leftovers::{Descriptors, LeftKey, Leftovers};
pub use self::parameters::{Network, Parameters, RedisKind};
pub use self::recorder::Recorder;

/// An event and when it was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Milliseconds since the recorder was made, by a clock that no nemesis moves.
    pub at_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened in a run, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Stamps never decrease.
    pub entries: Vec<Entry>,
}

impl History {
    /// Reads the lines that a [`Recorder`] wrote. A last line without its end is left out: the rig was killed in it.
    ///
    /// # Errors
    /// When the file cannot be read, or a line is no event; the error names it.
    pub fn read(path: &Path) -> Result<Self> {
        let told = || format!("read the history {}", path.display());
        let mut reader = BufReader::new(File::open(path).with_context(told)?);
        let mut entries = Vec::new();
        let mut line = String::new();
        while reader.read_line(&mut line).with_context(told)? > 0 && line.ends_with('\n') {
            let entry = serde_json::from_str(&line)
                .with_context(|| format!("parse line {} of {}", entries.len() + 1, path.display()))?;
            entries.push(entry);
            line.clear();
        }
        Ok(Self { entries })
    }

    /// What the run was asked to do; `None` when it never began.
    #[must_use]
    pub fn parameters(&self) -> Option<&Parameters> {
        self.events().find_map(|(_, event)| match event {
            Event::Began(parameters) => Some(parameters),
            _ => None,
        })
    }

    /// The events with their stamps in milliseconds, oldest first.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = (u64, &Event)> {
        self.entries.iter().map(|entry| (entry.at_ms, &entry.event))
    }

    /// When the run began, in milliseconds since 1970 by the machine's clock; 0 when that is not known.
    #[must_use]
    pub fn began_unix_ms(&self) -> u64 {
        let opened = self.events().find_map(|(at_ms, event)| match event {
            Event::Opened { unix_ms } => Some(unix_ms.saturating_sub(at_ms)),
            _ => None,
        });
        opened.unwrap_or(0)
    }

    /// The last stamp, in milliseconds; 0 of a run in which nothing happened.
    #[must_use]
    pub fn end_ms(&self) -> u64 {
        self.entries.last().map_or(0, |entry| entry.at_ms)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn what_was_recorded_is_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("history.jsonl");
        let recorder = Recorder::create(&path).unwrap();
        for event in event::samples() {
            recorder.record(event);
        }
        let kept = recorder.history();
        recorder.check().unwrap();
        assert_eq!(kept.entries.len(), 1 + event::samples().len());
        assert!(kept.began_unix_ms() > 0);
        assert_eq!(History::read(&path).unwrap(), kept);
    }

    #[test]
    fn a_line_that_was_cut_off_is_left_out_and_a_bad_one_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("history.jsonl");
        let recorder = Recorder::create(&path).unwrap();
        recorder.record(Event::FaultsOver);
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(b"{\"at_ms\":1,\"ev").unwrap();
        assert_eq!(History::read(&path).unwrap().entries.len(), 2);
        file.write_all(b"\n").unwrap();
        let error = format!("{:#}", History::read(&path).unwrap_err());
        assert!(error.contains("parse line 3"), "{error}");
    }
}
