//! One file in a spool, from its first line to its last.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use distjob_core::{
    JobId, Outcome,
    store::Slice,
    watcher::{Loss, each_row},
};
use futures::future::BoxFuture;
use watcher_d::{
    sink::SinkError,
    spool::{CollectError, Collected, Collecting, Tally},
};

use super::{Line, Partial, ShelfSpool};

/// A file in a spool. Dropping it removes it, unless its process is dead and removes nothing any more.
#[derive(Debug)]
struct Hold {
    spool: ShelfSpool,
    name: String,
}

impl Hold {
    fn create(spool: ShelfSpool, id: JobId) -> Self {
        let mut state = spool.shelf.state();
        let name = format!("{id}.{}.{}", spool.holder, state.next_partial);
        state.next_partial += 1;
        let partial = Partial {
            holder: spool.holder.clone(),
            id,
            lines: Arc::default(),
        };
        state.partials.insert(name.clone(), partial);
        drop(state);
        Self { spool, name }
    }

    /// Now it is whole.
    fn fill(&self, lines: Vec<Line>) {
        if let Some(partial) = self.spool.shelf.state().partials.get_mut(&self.name) {
            partial.lines = Arc::new(lines);
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let shelf = &self.spool.shelf;
        if !shelf.0.network.is_dead(self.spool.process) {
            shelf.state().partials.remove(&self.name);
        }
    }
}

/// A file that is being written.
#[derive(Debug)]
pub(super) struct Open {
    spool: ShelfSpool,
    id: JobId,
    written: Mutex<Written>,
}

#[derive(Debug, Default)]
struct Written {
    hold: Option<Hold>,
    lines: Vec<Line>,
    tally: Tally,
    failure: Option<CollectError>,
}

impl Open {
    pub(super) fn new(spool: ShelfSpool, id: JobId) -> Self {
        Self {
            spool,
            id,
            written: Mutex::default(),
        }
    }

    /// Puts `slice` behind what is there. After a failure nothing is taken any more.
    fn write(&self, slice: Option<&Slice>) -> bool {
        let is_full = self.spool.shelf.state().faults.is_full;
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.failure.is_some() {
            return false;
        }
        let taken = if is_full {
            let why = io::Error::from(io::ErrorKind::StorageFull);
            Err(SinkError::at("write to", Path::new(self.id.as_str()), why).into())
        } else {
            written.take(&self.spool, &self.id, slice)
        };
        if let Err(failure) = taken {
            written.failure = Some(failure);
            written.hold = None;
        }
        written.failure.is_none()
    }
}

impl Written {
    fn take(&mut self, spool: &ShelfSpool, id: &JobId, slice: Option<&Slice>) -> Result<(), CollectError> {
        if self.hold.is_none() {
            self.hold = Some(Hold::create(spool.clone(), id.clone()));
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
            self.spool.shelf.step(self.spool.process).await;
            self.write(Some(&slice))
        })
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<Collected, CollectError>> {
        Box::pin(async move {
            self.spool.shelf.step(self.spool.process).await;
            self.write(None);
            let written = self.written.into_inner().unwrap_or_else(PoisonError::into_inner);
            match (written.failure, written.hold) {
                (None, Some(hold)) => {
                    hold.fill(written.lines);
                    Ok(Collected {
                        path: PathBuf::from(&hold.name),
                        tally: written.tally,
                        sha256: String::new(),
                        hold: Arc::new(hold),
                    })
                }
                (failure, _) => Err(failure.unwrap_or(CollectError::Discarded)),
            }
        })
    }

    fn discard(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            self.spool.shelf.step(self.spool.process).await;
        })
    }
}
