//! Writing one job's file.
//!
//! ```text
//! WritingFile ──push──► (one slice waits) ──► writer thread ──► .partial/<id>.…
//!     └─finish─► synced ► WholeFile ──publish──► <id>.manifest.json ► <id>.jsonl
//! ```
//!
//! While one slice is written the next waits and the one after it is read: three slices are in memory, no more.
//! Whatever ends early, by an error, by [`Collecting::discard`] or by being dropped, removes the partial file.

use std::io;

use distjob_core::{JobId, QueueName, store::Slice, watcher::each_row};
use distjob_runtime::drill;
use futures::future::BoxFuture;
use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    CollectError, Collecting, FileSink, Manifest, SinkError, Tally, blocking,
    line::push_line,
    partial::{Partial, Place},
};
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
    result: Partial,
    manifest: Place,
    tally: Tally,
}

impl Collected for WholeFile {
    fn tally(&self) -> Tally {
        self.tally
    }

    fn publish(self: Box<Self>, manifest: Manifest) -> BoxFuture<'static, Result<(), SinkError>> {
        Box::pin(blocking(move || {
            write_manifest(self.manifest, &manifest)?;
            drill::point("manifest");
            let renamed = self.result.rename()?;
            drill::point("after-rename");
            renamed.settle()
        }))
    }
}

/// Returns when it is on the disk under its name.
fn write_manifest(place: Place, manifest: &Manifest) -> Result<(), SinkError> {
    let mut text = serde_json::to_string_pretty(manifest).map_err(|error| {
        SinkError::new(
            "put the manifest together for",
            &place.target,
            io::Error::other(error),
        )
    })?;
    text.push('\n');
    let mut partial = Partial::create(place)?;
    partial.write(text.as_bytes())?;
    partial.sync()?;
    drill::point("manifest-written");
    partial.rename()?.settle()
}

struct Writer {
    result: Partial,
    manifest: Place,
    buffer: String,
    tally: Tally,
}

impl Writer {
    fn open(sink: &FileSink, id: &JobId, queue: &QueueName) -> Result<Self, SinkError> {
        sink.settle(queue)?;
        Ok(Self {
            result: Partial::create(sink.result(id, queue))?,
            manifest: sink.manifest(id, queue),
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
            self.tally.count(&row);
            push_line(&mut self.buffer, &row);
            if self.buffer.len() >= BUFFER_BYTES {
                self.flush()?;
            }
            Ok(())
        })
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.result.write(self.buffer.as_bytes())?;
        self.tally.bytes += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<WholeFile, SinkError> {
        self.flush()?;
        drill::point("collected");
        self.result.sync()?;
        Ok(WholeFile {
            result: self.result,
            manifest: self.manifest,
            tally: self.tally,
        })
    }
}
