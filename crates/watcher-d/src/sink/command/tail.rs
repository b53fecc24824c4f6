//! The end of what a program says.

use std::{pin::pin, time::Duration};

use tokio::{io::AsyncReadExt as _, process::ChildStderr, time::timeout};

/// So much of it is kept.
const KEPT_MAX: usize = 2048;

/// So long is waited for what is still in the pipe when the program has ended: somebody else may hold it open for ever.
const LATE_MAX: Duration = Duration::from_millis(500);

/// Reads what a program writes to stderr, so that it never waits for that, and keeps the end.
#[derive(Debug)]
pub(super) struct Tail {
    pipe: Option<ChildStderr>,
    kept: Vec<u8>,
}

impl Tail {
    pub(super) fn new(pipe: Option<ChildStderr>) -> Self {
        Self {
            pipe,
            kept: Vec::new(),
        }
    }

    /// Waits for `other`, and reads meanwhile.
    pub(super) async fn while_reading<T>(&mut self, other: impl Future<Output = T>) -> T {
        let mut other = pin!(other);
        loop {
            tokio::select! {
                biased;
                done = &mut other => return done,
                () = self.read(), if self.pipe.is_some() => {}
            }
        }
    }

    /// Reads what is left, within a bound.
    pub(super) async fn read_rest(&mut self) {
        let rest = async {
            while self.pipe.is_some() {
                self.read().await;
            }
        };
        // What does not come is not waited for.
        let _ = timeout(LATE_MAX, rest).await;
    }

    /// Reads once. Cancel safe.
    async fn read(&mut self) {
        let Some(pipe) = &mut self.pipe else { return };
        let mut buffer = [0; 1024];
        match pipe.read(&mut buffer).await {
            Ok(0) | Err(_) => self.pipe = None,
            Ok(read) => {
                self.kept.extend_from_slice(&buffer[..read]);
                let excess = self.kept.len().saturating_sub(KEPT_MAX);
                self.kept.drain(..excess);
            }
        }
    }

    /// `what`, and what the program said last, on one line.
    pub(super) fn told(&self, what: &str) -> String {
        let text = String::from_utf8_lossy(&self.kept);
        let words: Vec<_> = text.split_whitespace().collect();
        match words.is_empty() {
            true => what.to_owned(),
            false => format!("{what}: {}", words.join(" ")),
        }
    }
}
