//! What a child process writes, line by line, for tests to wait on.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::sync::watch;
use tokio::time::timeout;

/// How many lines an error message quotes.
const QUOTED_LINES: usize = 20;

/// The captured lines of one stream. Cheap to clone; all clones see the same lines.
#[derive(Debug, Clone)]
pub struct Log {
    name: String,
    captured: Arc<watch::Sender<Captured>>,
}

#[derive(Debug, Default)]
struct Captured {
    lines: Vec<String>,
    ended: bool,
}

/// A place in a [`Log`]: between the lines written before it was taken and those written after.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(usize);

impl Log {
    /// Reads `stream` to its end on a thread of its own, copying it to `file`. Bytes that are not UTF-8 are replaced.
    pub(crate) fn follow(name: &str, stream: impl Read + Send + 'static, mut file: File) -> Log {
        let log = Log {
            name: name.to_owned(),
            captured: Arc::default(),
        };
        let captured = Arc::clone(&log.captured);
        thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while let Ok(1..) = stream.read_until(b'\n', &mut line) {
                // The copy is for people who look later; the lines in memory are what tests use.
                let _ = file.write_all(&line);
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                captured.send_modify(|captured| captured.lines.push(text));
                line.clear();
            }
            captured.send_modify(|captured| captured.ended = true);
        });
        log
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.captured.borrow().lines.clone()
    }

    /// The last `count` lines, joined.
    pub fn tail(&self, count: usize) -> String {
        let captured = self.captured.borrow();
        captured.lines[captured.lines.len().saturating_sub(count)..].join("\n")
    }

    /// The place after the last line so far, for [`Log::wait_after`].
    pub fn mark(&self) -> Mark {
        Mark(self.captured.borrow().lines.len())
    }

    /// Whether a line so far matches `pattern`, see [`Log::wait`].
    pub fn contains(&self, pattern: &str) -> bool {
        self.captured
            .borrow()
            .lines
            .iter()
            .any(|line| matches(pattern, line))
    }

    /// The first line, past or future, that contains `pattern`, in which `*` stands for any text. An error that quotes the
    /// last lines when there is none within `limit` or before the stream ends. Cancellation safe.
    pub async fn wait(&self, pattern: &str, limit: Duration) -> Result<String> {
        self.wait_after(Mark::default(), pattern, limit).await
    }

    /// As [`Log::wait`], but of the lines after `mark` only.
    pub async fn wait_after(&self, mark: Mark, pattern: &str, limit: Duration) -> Result<String> {
        let Mark(mut next) = mark;
        let mut found = None;
        let mut captured = self.captured.subscribe();
        let look = captured.wait_for(|captured| {
            found = captured.lines[next..]
                .iter()
                .find(|line| matches(pattern, line))
                .cloned();
            next = captured.lines.len();
            found.is_some() || captured.ended
        });
        let in_time = timeout(limit, look).await.is_ok();
        match found {
            Some(line) => Ok(line),
            None if in_time => bail!(
                "{} ended without writing {pattern:?}; its last lines:\n{}",
                self.name,
                self.quote()
            ),
            None => bail!(
                "{} did not write {pattern:?} within {limit:?}; its last lines:\n{}",
                self.name,
                self.quote()
            ),
        }
    }

    /// Returns when the stream has ended: the process, and all that inherited the stream, closed it.
    pub async fn ended(&self) {
        // Cannot fail: `self` keeps the sender alive.
        let _ = self
            .captured
            .subscribe()
            .wait_for(|captured| captured.ended)
            .await;
    }

    fn quote(&self) -> String {
        self.tail(QUOTED_LINES)
    }
}

/// Whether the parts of `pattern` between its `*` occur in `line` in this order.
fn matches(pattern: &str, line: &str) -> bool {
    let mut rest = line;
    pattern.split('*').all(|part| {
        let found = rest.find(part);
        if let Some(at) = found {
            rest = &rest[at + part.len()..];
        }
        found.is_some()
    })
}
