//! Writing one job's file.
//!
//! ```text
//! Collecting ──push──► (one slice waits) ──► writer thread ──► .partial/<id>.…
//!     └─finish─► synced ► Collected ──publish──► <id>.jsonl
//! ```
//!
//! While one slice is written the next waits and the one after it is read: three slices are in memory, no more.
//! Whatever ends early, by an error, by [`Collecting::discard`] or by being dropped, removes the partial file.

use std::{
    fs::{self, File},
    io::Write as _,
    path::PathBuf,
};

use distjob_core::{
    JobId, Outcome, QueueName,
    store::Slice,
    watcher::{Loss, each_row},
};
use distjob_runtime::drill;
use tokio::{sync::mpsc, task::JoinHandle};

use super::{FileSink, SinkError, blocking, line::push_line, sync};

/// So many bytes of lines go to the file at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// Why a file was not finished.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CollectError {
    /// The file could not be written.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The outcomes cannot be those of the tasks.
    #[error("make sense of the store: {0}")]
    Loss(Loss),
    /// The collector was dropped before its end.
    #[error("come to an end before it was dropped")]
    Discarded,
}

impl From<Loss> for CollectError {
    fn from(loss: Loss) -> Self {
        Self::Loss(loss)
    }
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Tasks with a value.
    pub ok: u64,
    /// Tasks with an error.
    pub err: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

enum Message {
    Slice(Slice),
    Finish,
}

/// A file that is being written, see [the module](self).
#[derive(Debug)]
pub(crate) struct Collecting {
    messages: mpsc::Sender<Message>,
    writer: JoinHandle<Result<Collected, CollectError>>,
}

impl Collecting {
    pub(super) fn start(sink: FileSink, id: JobId, queue: QueueName) -> Self {
        let (messages, inbox) = mpsc::channel(1);
        let writer = tokio::task::spawn_blocking(move || Writer::open(&sink, &id, &queue)?.run(inbox));
        Self { messages, writer }
    }

    /// Hands over the next slice, as soon as the one before the last is written. `false` when the writer has given
    /// up: [`Collecting::finish`] says why.
    ///
    /// Cancel safe in so far as the slice is then either written or not; discard the file.
    pub(crate) async fn push(&self, slice: Slice) -> bool {
        self.messages.send(Message::Slice(slice)).await.is_ok()
    }

    /// Writes what is left and brings it to the disk, still under its temporary name.
    ///
    /// # Errors
    /// What the writer met; the partial file is gone then.
    ///
    /// # Cancel safety
    /// Dropping the future removes the file.
    pub(crate) async fn finish(self) -> Result<Collected, CollectError> {
        // A writer that is gone already says why below.
        let _ = self.messages.send(Message::Finish).await;
        self.end().await
    }

    /// Gives up, and returns when the partial file is gone.
    pub(crate) async fn discard(self) {
        // Either it is an error, and the file is gone, or it is dropped here, and then it is.
        drop(self.end().await);
    }

    async fn end(self) -> Result<Collected, CollectError> {
        drop(self.messages);
        match self.writer.await {
            Ok(outcome) => outcome,
            Err(failure) => std::panic::resume_unwind(failure.into_panic()),
        }
    }
}

/// A whole file, on the disk under its temporary name. Dropping it removes it.
#[derive(Debug)]
#[must_use = "what is not published is removed"]
pub(crate) struct Collected {
    partial: Partial,
    target: PathBuf,
    /// What is in it.
    pub tally: Tally,
}

impl Collected {
    /// Gives the file its name, in place of one that may be there, and brings that to the disk.
    ///
    /// # Errors
    /// When one of the two fails; after the second the file may stand there all the same.
    ///
    /// # Cancel safety
    /// Dropping the future lets it go on to its end.
    pub(crate) async fn publish(self) -> Result<Tally, SinkError> {
        blocking(move || {
            fs::rename(&self.partial.path, &self.target)
                .map_err(|error| SinkError::new("rename a partial file to", &self.target, error))?;
            drill::point("after-rename");
            if let Some(directory) = self.target.parent() {
                sync(directory)?;
            }
            Ok(self.tally)
        })
        .await
    }
}

/// A file that must not stay. After it was renamed there is nothing to remove.
#[derive(Debug)]
struct Partial {
    path: PathBuf,
}

impl Drop for Partial {
    fn drop(&mut self) {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(path = %self.path.display(), %error, "failed to remove a partial file");
            }
            _ => {}
        }
    }
}

struct Writer {
    file: File,
    partial: Partial,
    target: PathBuf,
    buffer: String,
    tally: Tally,
}

impl Writer {
    fn open(sink: &FileSink, id: &JobId, queue: &QueueName) -> Result<Self, SinkError> {
        sink.settle(queue)?;
        let path = sink.partial(id, queue);
        let file = File::create(&path).map_err(|error| SinkError::new("create", &path, error))?;
        Ok(Self {
            file,
            partial: Partial { path },
            target: sink.target(id, queue),
            buffer: String::new(),
            tally: Tally::default(),
        })
    }

    fn run(mut self, mut inbox: mpsc::Receiver<Message>) -> Result<Collected, CollectError> {
        while let Some(message) = inbox.blocking_recv() {
            match message {
                Message::Slice(slice) => self.write(&slice)?,
                Message::Finish => return Ok(self.finish()?),
            }
        }
        Err(CollectError::Discarded)
    }

    fn write(&mut self, slice: &Slice) -> Result<(), CollectError> {
        each_row(slice, |row| {
            match row.outcome {
                Outcome::Ok(_) => self.tally.ok += 1,
                Outcome::Err(_) => self.tally.err += 1,
            }
            push_line(&mut self.buffer, &row);
            if self.buffer.len() >= BUFFER_BYTES {
                self.flush()?;
            }
            Ok(())
        })
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        let written = self.file.write_all(self.buffer.as_bytes());
        self.tally.bytes += self.buffer.len() as u64;
        self.buffer.clear();
        written.map_err(|error| SinkError::new("write to", &self.partial.path, error))
    }

    fn finish(mut self) -> Result<Collected, SinkError> {
        self.flush()?;
        drill::point("collected");
        self.file
            .sync_all()
            .map_err(|error| SinkError::new("sync", &self.partial.path, error))?;
        Ok(Collected {
            partial: self.partial,
            target: self.target,
            tally: self.tally,
        })
    }
}
