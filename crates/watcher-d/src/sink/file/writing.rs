//! Writing one job's file.
//!
//! ```text
//! WritingFile ──push──► (one slice waits) ──► writer thread ──► .partial/<id>.…
//!     └─finish─► synced ► WholeFile ──publish──► <id>.jsonl
//! ```
//!
//! While one slice is written the next waits and the one after it is read: three slices are in memory, no more.
//! Whatever ends early, by an error, by [`Collecting::discard`] or by being dropped, removes the partial file.

use std::{
    fs::{self, File},
    io::Write as _,
    path::PathBuf,
};

use distjob_core::{JobId, Outcome, QueueName, store::Slice, watcher::each_row};
use distjob_runtime::drill;
use futures::future::BoxFuture;
use tokio::{sync::mpsc, task::JoinHandle};

use super::{CollectError, Collecting, FileSink, SinkError, Tally, blocking, line::push_line, sync};
use crate::sink::Collected;

/// So many bytes of lines go to the file at once.
const BUFFER_BYTES: usize = 256 * 1024;

enum Message {
    Slice(Slice),
    Finish,
}

/// A file that is being written, see [the module](self).
#[derive(Debug)]
pub(super) struct WritingFile {
    messages: mpsc::Sender<Message>,
    writer: JoinHandle<Result<WholeFile, CollectError>>,
}

impl WritingFile {
    pub(super) fn start(sink: FileSink, id: JobId, queue: QueueName) -> Self {
        let (messages, inbox) = mpsc::channel(1);
        let writer = tokio::task::spawn_blocking(move || Writer::open(&sink, &id, &queue)?.run(inbox));
        Self { messages, writer }
    }

    async fn end(self) -> Result<WholeFile, CollectError> {
        drop(self.messages);
        match self.writer.await {
            Ok(outcome) => outcome,
            Err(failure) => std::panic::resume_unwind(failure.into_panic()),
        }
    }
}

impl Collecting for WritingFile {
    fn push(&self, slice: Slice) -> BoxFuture<'_, bool> {
        Box::pin(async { self.messages.send(Message::Slice(slice)).await.is_ok() })
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<Box<dyn Collected>, CollectError>> {
        Box::pin(async move {
            // A writer that is gone already says why below.
            let _ = self.messages.send(Message::Finish).await;
            Ok(Box::new(self.end().await?) as Box<dyn Collected>)
        })
    }

    fn discard(self: Box<Self>) -> BoxFuture<'static, ()> {
        // Either it is an error, and the file is gone, or it is dropped here, and then it is.
        Box::pin(async move { drop(self.end().await) })
    }
}

/// A whole file, on the disk under its temporary name. Dropping it removes it.
#[derive(Debug)]
struct WholeFile {
    partial: Partial,
    target: PathBuf,
    tally: Tally,
}

impl Collected for WholeFile {
    fn publish(self: Box<Self>) -> BoxFuture<'static, Result<Tally, SinkError>> {
        Box::pin(blocking(move || {
            fs::rename(&self.partial.path, &self.target)
                .map_err(|error| SinkError::new("rename a partial file to", &self.target, error))?;
            drill::point("after-rename");
            if let Some(directory) = self.target.parent() {
                sync(directory)?;
            }
            Ok(self.tally)
        }))
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

    fn run(mut self, mut inbox: mpsc::Receiver<Message>) -> Result<WholeFile, CollectError> {
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

    fn finish(mut self) -> Result<WholeFile, SinkError> {
        self.flush()?;
        drill::point("collected");
        self.file
            .sync_all()
            .map_err(|error| SinkError::new("sync", &self.partial.path, error))?;
        Ok(WholeFile {
            partial: self.partial,
            target: self.target,
            tally: self.tally,
        })
    }
}
