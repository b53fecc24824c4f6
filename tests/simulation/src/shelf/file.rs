//! One file on the shelf, from its first line to its name.

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use distjob_core::{
    Holder, JobId, Outcome, QueueName,
    store::Slice,
    watcher::{Loss, each_row},
};
use futures::future::BoxFuture;
use rand::RngExt as _;
use watcher_d::sink::{CollectError, Collected, Collecting, Manifest, SinkError, Tally};

use super::{Delivery, Line, ShelfSink};

/// A file without a name. Dropping it removes it, unless its process is dead and removes nothing any more.
#[derive(Debug)]
struct Partial {
    sink: ShelfSink,
    key: (Holder, u64),
}

impl Partial {
    fn create(sink: ShelfSink, id: JobId) -> Self {
        let mut state = sink.shelf.state();
        let key = (sink.holder.clone(), state.next_partial);
        state.next_partial += 1;
        state.partials.insert(key.clone(), id);
        drop(state);
        Self { sink, key }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        let shelf = &self.sink.shelf;
        if !shelf.0.network.is_dead(self.sink.process) {
            shelf.state().partials.remove(&self.key);
        }
    }
}

/// A file that is being written.
#[derive(Debug)]
pub(super) struct Open {
    sink: ShelfSink,
    id: JobId,
    queue: QueueName,
    written: Mutex<Written>,
}

#[derive(Debug, Default)]
struct Written {
    partial: Option<Partial>,
    lines: Vec<Line>,
    tally: Tally,
    failure: Option<CollectError>,
}

impl Open {
    pub(super) fn new(sink: ShelfSink, id: JobId, queue: QueueName) -> Self {
        Self {
            sink,
            id,
            queue,
            written: Mutex::default(),
        }
    }

    /// Puts `slice` behind what is there. After a failure nothing is taken any more.
    fn write(&self, slice: Option<&Slice>) -> bool {
        let is_full = self.sink.shelf.state().faults.is_full;
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.failure.is_some() {
            return false;
        }
        let taken = if is_full {
            let why = io::Error::from(io::ErrorKind::StorageFull);
            Err(SinkError::new("write to", Path::new(self.id.as_str()), why).into())
        } else {
            written.take(&self.sink, &self.id, slice)
        };
        if let Err(failure) = taken {
            written.failure = Some(failure);
            written.partial = None;
        }
        written.failure.is_none()
    }
}

impl Written {
    fn take(&mut self, sink: &ShelfSink, id: &JobId, slice: Option<&Slice>) -> Result<(), CollectError> {
        if self.partial.is_none() {
            self.partial = Some(Partial::create(sink.clone(), id.clone()));
        }
        let Some(slice) = slice else { return Ok(()) };
        each_row(slice, |row| {
            let outcome = match row.outcome {
                Outcome::Ok(value) => Ok(value.to_vec()),
                Outcome::Err(error) => Err(error.to_vec()),
            };
            self.tally.count(&row);
            if row.index != self.lines.len() as u64 {
                return Err(CollectError::Loss(Loss::Hole(self.lines.len() as u64)));
            }
            self.lines.push(Line {
                task: row.task.to_vec(),
                outcome,
                attempts: row.account.map(|account| account.attempts),
            });
            Ok(())
        })
    }
}

impl Collecting for Open {
    fn push(&self, slice: Slice) -> BoxFuture<'_, bool> {
        Box::pin(async move {
            self.sink.shelf.step(self.sink.process).await;
            self.write(Some(&slice))
        })
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<Box<dyn Collected>, CollectError>> {
        Box::pin(async move {
            self.sink.shelf.step(self.sink.process).await;
            self.write(None);
            let written = self.written.into_inner().unwrap_or_else(PoisonError::into_inner);
            if let Some(failure) = written.failure {
                return Err(failure);
            }
            Ok(Box::new(Whole {
                sink: self.sink,
                id: self.id,
                queue: self.queue,
                partial: written.partial,
                lines: written.lines,
                tally: written.tally,
            }) as Box<dyn Collected>)
        })
    }

    fn discard(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            self.sink.shelf.step(self.sink.process).await;
        })
    }
}

/// A whole file that has no name yet.
#[derive(Debug)]
struct Whole {
    sink: ShelfSink,
    id: JobId,
    queue: QueueName,
    partial: Option<Partial>,
    lines: Vec<Line>,
    tally: Tally,
}

impl Whole {
    async fn rename(self, manifest: Manifest) -> Result<(), SinkError> {
        let (shelf, process) = (self.sink.shelf.clone(), self.sink.process);
        shelf.step(process).await;
        let Self {
            id,
            queue,
            partial,
            lines,
            ..
        } = self;
        drop(partial);
        let path = id.as_str().to_owned();
        let at_ms = shelf.0.trace.elapsed_ms();
        shelf.0.trace.mark(path.as_bytes());
        shelf
            .0
            .trace
            .note(|| format!("{process} delivers {path}, {} lines", lines.len()));
        shelf.state().deliveries.push(Delivery {
            id,
            queue,
            by: process,
            at_ms,
            lines: Arc::new(lines),
            manifest,
        });
        shelf.step(process).await;
        let mut state = shelf.state();
        let one_in = state.faults.unsynced_one_in;
        if one_in > 0 && state.rng.random_ratio(1, one_in) {
            let why = io::Error::other("input/output error");
            return Err(SinkError::new("sync the directory of", Path::new(&path), why));
        }
        Ok(())
    }
}

impl Collected for Whole {
    fn tally(&self) -> Tally {
        self.tally
    }

    fn publish(self: Box<Self>, manifest: Manifest) -> BoxFuture<'static, Result<(), SinkError>> {
        // On a task of its own: it goes on when nobody waits for it.
        let renamed = tokio::spawn(self.rename(manifest));
        Box::pin(async move {
            match renamed.await {
                Ok(outcome) => outcome,
                Err(failure) => std::panic::resume_unwind(failure.into_panic()),
            }
        })
    }
}
