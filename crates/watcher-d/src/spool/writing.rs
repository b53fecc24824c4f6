//! Writing one job's file.
//!
//! ```text
//! WritingFile ──push──► (one slice waits) ──► writer thread: format ► archive ► digest ► file
//!     └─finish─► synced ► Collected
//! ```
//!
//! While one slice is written the next waits and the one after it is read: three slices are in memory, no more. There is no
//! writer before there is a second slice or the end: most results have one slice, and go to a thread once.
//! Whatever ends early, by an error, by [`Collecting::discard`] or by being dropped, removes the file.

use std::{
    io::Write as _,
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use distjob_core::{store::Slice, watcher::each_row};
use distjob_runtime::drill;
use futures::future::BoxFuture;
use tokio::{sync::mpsc, task::JoinHandle};

use super::{CollectError, Collected, Collecting, DiskSpool, Recipe, Tally};
use crate::{
    archive::{Digested, Digesting, Encoder, Packing},
    files::{Partial, blocking},
    sink::SinkError,
};

/// So many bytes of rows go to the file at once.
const BUFFER_BYTES: usize = 256 * 1024;

enum Message {
    Slice(Slice),
    Finish,
}

/// A file that is being written, see [the module](self).
#[derive(Debug)]
pub(super) struct WritingFile {
    spool: DiskSpool,
    recipe: Recipe,
    /// The first slice, until there is a second.
    first: Mutex<Option<Slice>>,
    thread: OnceLock<Thread>,
}

/// A writer at work.
#[derive(Debug)]
struct Thread {
    messages: mpsc::Sender<Message>,
    writer: JoinHandle<Result<Collected, CollectError>>,
}

impl WritingFile {
    pub(super) fn new(spool: DiskSpool, recipe: Recipe) -> Self {
        Self {
            spool,
            recipe,
            first: Mutex::default(),
            thread: OnceLock::new(),
        }
    }

    /// Keeps the first slice, or hands it out together with the writer that is to get it and `slice`.
    fn second(&self, slice: Slice) -> Option<(Option<Slice>, &Thread, Slice)> {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_none() && self.thread.get().is_none() {
            *first = Some(slice);
            return None;
        }
        let thread = self
            .thread
            .get_or_init(|| Thread::start(self.spool.clone(), self.recipe.clone()));
        Some((first.take(), thread, slice))
    }

    /// All of a result that has one slice at most.
    fn write_at_once(self) -> Result<Collected, CollectError> {
        let mut writer = Writer::open(&self.spool, self.recipe)?;
        let first = self.first.into_inner();
        if let Some(slice) = first.unwrap_or_else(PoisonError::into_inner) {
            writer.write(&slice)?;
        }
        Ok(writer.finish()?)
    }
}

impl Thread {
    fn start(spool: DiskSpool, recipe: Recipe) -> Self {
        let (messages, inbox) = mpsc::channel(1);
        let writer = tokio::task::spawn_blocking(move || Writer::open(&spool, recipe)?.run(inbox));
        Self { messages, writer }
    }

    async fn finish(self) -> Result<Collected, CollectError> {
        // A writer that is gone already says why below.
        let _ = self.messages.send(Message::Finish).await;
        self.end().await
    }

    async fn end(self) -> Result<Collected, CollectError> {
        drop(self.messages);
        match self.writer.await {
            Ok(outcome) => outcome,
            Err(failure) => std::panic::resume_unwind(failure.into_panic()),
        }
    }
}

impl Collecting for WritingFile {
    fn push(&self, slice: Slice) -> BoxFuture<'_, bool> {
        Box::pin(async {
            let Some((first, thread, slice)) = self.second(slice) else {
                return true;
            };
            for slice in first.into_iter().chain([slice]) {
                if thread.messages.send(Message::Slice(slice)).await.is_err() {
                    return false;
                }
            }
            true
        })
    }

    fn finish(mut self: Box<Self>) -> BoxFuture<'static, Result<Collected, CollectError>> {
        Box::pin(async move {
            match self.thread.take() {
                Some(thread) => thread.finish().await,
                None => blocking(move || self.write_at_once()).await,
            }
        })
    }

    fn discard(mut self: Box<Self>) -> BoxFuture<'static, ()> {
        // Either it is an error, and the file is gone, or it is dropped here, and then it is.
        Box::pin(async move {
            if let Some(thread) = self.thread.take() {
                drop(thread.end().await);
            }
        })
    }
}

struct Writer {
    recipe: Recipe,
    path: PathBuf,
    encoder: Encoder<Digesting<Partial>>,
    buffer: Vec<u8>,
    tally: Tally,
}

impl Writer {
    fn open(spool: &DiskSpool, recipe: Recipe) -> Result<Self, SinkError> {
        let path = spool.place(&recipe)?;
        let file = Digesting::new(Partial::create(path.clone())?);
        let packing = Packing {
            archive: recipe.archive,
            level: recipe.level,
            inner_name: recipe.inner_name(),
            date_ms: recipe.entry.created_ms,
        };
        let encoder =
            Encoder::new(&packing, file).map_err(|error| SinkError::at("write to", &path, error))?;
        let mut buffer = Vec::new();
        recipe.format.begin(&mut buffer);
        Ok(Self {
            recipe,
            path,
            encoder,
            buffer,
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
            self.tally.count(&row);
            self.recipe.format.push(&mut self.buffer, &row);
            if self.buffer.len() >= BUFFER_BYTES {
                self.flush()?;
            }
            Ok(())
        })
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.encoder
            .write_all(&self.buffer)
            .map_err(|error| SinkError::at("write to", &self.path, error))?;
        self.buffer.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<Collected, SinkError> {
        self.flush()?;
        let Self {
            recipe,
            path,
            encoder,
            mut tally,
            ..
        } = self;
        let manifest = |rows: &Digested| {
            let tally = Tally {
                bytes: rows.bytes,
                ..tally
            };
            recipe.inner_manifest(&tally, &rows.sha256).to_json()
        };
        let file = encoder
            .finish(manifest)
            .map_err(|error| SinkError::at("write to", &path, error))?;
        drill::point("collected");
        let (file, digested) = file.finish();
        file.sync()?;
        tally.bytes = digested.bytes;
        Ok(Collected {
            path,
            tally,
            sha256: digested.sha256,
            hold: Arc::new(file.close()),
        })
    }
}
