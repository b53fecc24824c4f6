//! Writing a history down while it happens.

use std::{
    fs::File,
    io::{self, Write as _},
    mem,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};

use super::{Entry, Event, History};

/// Appends events to a file, and keeps them. Shared by all threads and tasks of the rig.
#[derive(Debug)]
pub struct Recorder {
    began: Instant,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: File,
    entries: Vec<Entry>,
    /// The first write that failed. Everything after it is kept in memory only.
    failed: Option<io::Error>,
}

impl Recorder {
    /// Makes the file and lets time begin.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("create the history {}", path.display()))?;
        let recorder = Self {
            began: Instant::now(),
            inner: Mutex::new(Inner {
                file,
                entries: Vec::new(),
                failed: None,
            }),
        };
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        recorder.record(Event::Opened {
            unix_ms: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX),
        });
        Ok(recorder)
    }

    /// Milliseconds since the recorder was made: what the next event would be stamped with.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Stamps `event` and writes it down: one short write, so what was recorded outlives a killed rig. A write that
    /// fails is told by [`Recorder::check`].
    pub fn record(&self, event: Event) {
        let mut inner = self.inner();
        // Stamped under the lock: stamps never decrease along the file.
        let entry = Entry {
            at_ms: self.now_ms(),
            event,
        };
        inner.append(&entry);
        inner.entries.push(entry);
    }

    /// All that was recorded so far.
    #[must_use]
    pub fn history(&self) -> History {
        History {
            entries: self.inner().entries.clone(),
        }
    }

    /// Whether all that was recorded reached the file.
    ///
    /// # Errors
    /// The first write that failed since the last call.
    pub fn check(&self) -> Result<()> {
        let failed = mem::take(&mut self.inner().failed);
        failed.map_or(Ok(()), Err).context("write the history")
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // No code panics with the lock held; a history is worth keeping even if some did.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn append(&mut self, entry: &Entry) {
        if self.failed.is_some() {
            return;
        }
        let written = serde_json::to_vec(entry).map_err(io::Error::from);
        let written = written.and_then(|mut line| {
            line.push(b'\n');
            self.file.write_all(&line)
        });
        self.failed = written.err();
    }
}
