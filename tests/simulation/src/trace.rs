//! What happened in a run: a hash of all of it, and the text of its tail when somebody wants to read it.
//!
//! Two runs are the same when their hashes are. So everything that has an effect is marked; texts are made only by a
//! run that is to be read, and are no part of the hash.

use std::{
    collections::VecDeque,
    fmt,
    io::{self, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;
use tracing::{Level, subscriber::DefaultGuard};

/// So many lines are kept.
const LINES_MAX: usize = 200_000;

/// The trace of one run. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Trace(Arc<Shared>);

struct Shared {
    began: Instant,
    is_recording: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    hash: Fnv,
    marks: u64,
    lines: VecDeque<String>,
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace")
            .field("hash", &self.hash())
            .finish_non_exhaustive()
    }
}

impl Trace {
    /// An empty trace that begins now, on tokio's clock. Texts are kept only if `is_recording`.
    #[must_use]
    pub fn new(is_recording: bool) -> Self {
        Self(Arc::new(Shared {
            began: Instant::now(),
            is_recording,
            state: Mutex::default(),
        }))
    }

    /// Puts the time and these bytes into the hash.
    pub fn mark(&self, bytes: &[u8]) {
        let elapsed_ms = self.elapsed_ms();
        let mut state = self.state();
        state.hash.update(&elapsed_ms.to_le_bytes());
        state.hash.update(bytes);
        state.marks += 1;
    }

    /// Keeps a line for the reader, with the time. `text` is called only in a run that is recorded; it must not have
    /// an effect.
    pub fn note(&self, text: impl FnOnce() -> String) {
        if !self.0.is_recording {
            return;
        }
        let elapsed_ms = self.elapsed_ms();
        let line = format!("{:>4}.{:03} {}", elapsed_ms / 1000, elapsed_ms % 1000, text());
        let mut state = self.state();
        if state.lines.len() == LINES_MAX {
            state.lines.pop_front();
        }
        state.lines.push_back(line);
    }

    /// Keeps what daemons log in this thread, too, until the guard is dropped. Does nothing when texts are not kept.
    #[must_use]
    pub fn subscribe(&self) -> Option<DefaultGuard> {
        if !self.0.is_recording {
            return None;
        }
        let trace = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::DEBUG)
            .without_time()
            .with_ansi(false)
            .with_writer(move || LineWriter {
                trace: trace.clone(),
                line: Vec::new(),
            })
            .finish();
        Some(tracing::subscriber::set_default(subscriber))
    }

    /// Whether texts are kept.
    #[must_use]
    pub fn is_recording(&self) -> bool {
        self.0.is_recording
    }

    /// Milliseconds of virtual time since the beginning.
    #[must_use]
    pub fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The hash of all marks until now.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.state().hash.0
    }

    /// How many marks there were.
    #[must_use]
    pub fn marks(&self) -> u64 {
        self.state().marks
    }

    /// The lines that were kept, oldest first: the last ones of a long run.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.state().lines.iter().cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a line of what is written to it.
struct LineWriter {
    trace: Trace,
    line: Vec<u8>,
}

impl Write for LineWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        self.trace
            .note(|| String::from_utf8_lossy(&self.line).trim().to_owned());
    }
}

/// FNV-1a: the same on every machine and in every version, unlike the standard library's hasher.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
