//! Where simulated watchers deliver to: files of memory that outlive the watchers.
//!
//! What the file sink promises is modelled with what can go wrong with it: writing takes time, the disk is full for a
//! while, the rename happens and the sync behind it fails, the process dies between any two of these.

mod file;

use std::{
    collections::BTreeMap,
    fmt, io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use distjob_core::{Holder, JobId, QueueName, Roster, SinkName};
use distjob_runtime::chance;
use futures::future::BoxFuture;
use rand::{RngExt as _, rngs::StdRng};
use tokio::time::sleep;
use watcher_d::{
    SinkConfig,
    sink::{Location, Manifest, Parcel, Sink, SinkError, Sinks},
    spool::{Collecting, Recipe, Spool},
};

use crate::{
    network::{Network, Process},
    trace::Trace,
};

/// One line of a delivered file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The task.
    pub task: Vec<u8>,
    /// Its value or its error.
    pub outcome: Result<Vec<u8>, Vec<u8>>,
    /// How many attempts it took, where that is known.
    pub attempts: Option<u32>,
}

/// A result became visible.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Of which job.
    pub id: JobId,
    /// In which queue.
    pub queue: QueueName,
    /// By whom.
    pub by: Process,
    /// When, in milliseconds since the run began.
    pub at_ms: u64,
    /// What is in it.
    pub lines: Arc<Vec<Line>>,
    /// What it is said to be.
    pub manifest: Manifest,
}

/// What is wrong with the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskFaults {
    /// Nothing can be written.
    pub is_full: bool,
    /// Each step takes up to so many milliseconds longer.
    pub slow_ms: u64,
    /// One sync in so many fails after the rename; 0 = none does.
    pub unsynced_one_in: u32,
}

/// The disk of a run. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Shelf(Arc<Shared>);

struct Shared {
    network: Network,
    trace: Trace,
    state: Mutex<State>,
}

struct State {
    rng: StdRng,
    faults: DiskFaults,
    /// Files in spools, by their names: being written, or waiting for sinks.
    partials: BTreeMap<String, Partial>,
    next_partial: u64,
    deliveries: Vec<Delivery>,
}

struct Partial {
    holder: Holder,
    id: JobId,
    /// What is in it, when it is whole.
    lines: Arc<Vec<Line>>,
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf").finish_non_exhaustive()
    }
}

impl Shelf {
    /// An empty disk.
    #[must_use]
    pub fn new(network: Network, trace: Trace) -> Self {
        Self(Arc::new(Shared {
            network,
            trace,
            state: Mutex::new(State {
                rng: chance::generator(),
                faults: DiskFaults::default(),
                partials: BTreeMap::new(),
                next_partial: 0,
                deliveries: Vec::new(),
            }),
        }))
    }

    /// The sinks of a process.
    #[must_use]
    pub fn sinks(&self, process: Process) -> Arc<dyn Sinks> {
        Arc::new(ShelfSinks {
            shelf: self.clone(),
            process,
        })
    }

    /// From now on this is wrong.
    pub fn set_faults(&self, faults: DiskFaults) {
        self.state().faults = faults;
    }

    /// All deliveries until now, in their order.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.state().deliveries.clone()
    }

    /// The jobs of files that were begun and neither delivered nor removed.
    #[must_use]
    pub fn partials(&self) -> Vec<(Holder, JobId)> {
        let state = self.state();
        let partials = state.partials.values();
        partials
            .map(|partial| (partial.holder.clone(), partial.id.clone()))
            .collect()
    }

    /// Takes as long as the disk does, and as the process is paused. Ends never when it is dead.
    async fn step(&self, process: Process) {
        let ms = {
            let mut state = self.state();
            let slow_ms = state.faults.slow_ms;
            state.rng.random_range(0..=2 + slow_ms)
        };
        if ms > 0 {
            sleep(Duration::from_millis(ms)).await;
        }
        self.0.network.awake(process).await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct ShelfSinks {
    shelf: Shelf,
    process: Process,
}

impl Sinks for ShelfSinks {
    fn spool(&self, _: &Path, holder: &Holder) -> Arc<dyn Spool> {
        Arc::new(ShelfSpool {
            shelf: self.shelf.clone(),
            process: self.process,
            holder: holder.clone(),
        })
    }

    fn sink(&self, _: &SinkName, _: &SinkConfig) -> Arc<dyn Sink> {
        Arc::new(ShelfSink {
            shelf: self.shelf.clone(),
            process: self.process,
        })
    }
}

/// Where one member puts results together.
#[derive(Clone, Debug)]
struct ShelfSpool {
    shelf: Shelf,
    process: Process,
    holder: Holder,
}

impl Spool for ShelfSpool {
    fn collect(&self, recipe: Recipe) -> Box<dyn Collecting> {
        Box::new(file::Open::new(self.clone(), recipe.id))
    }

    fn sweep(&self, roster: Arc<Roster>) -> BoxFuture<'static, Result<usize, SinkError>> {
        let spool = self.clone();
        Box::pin(async move {
            spool.shelf.step(spool.process).await;
            let mut state = spool.shelf.state();
            let before = state.partials.len();
            state
                .partials
                .retain(|_, partial| !roster.proves_dead(&partial.holder));
            Ok(before - state.partials.len())
        })
    }
}

/// The directory where results are seen.
#[derive(Clone, Debug)]
struct ShelfSink {
    shelf: Shelf,
    process: Process,
}

impl ShelfSink {
    async fn rename(self, parcel: Arc<Parcel>) -> Result<Location, SinkError> {
        let Self { shelf, process } = self;
        shelf.step(process).await;
        let name = parcel.path.display().to_string();
        let lines = {
            let mut state = shelf.state();
            let found = state
                .partials
                .get(&name)
                .map(|partial| Arc::clone(&partial.lines));
            if parcel.may_be_moved {
                state.partials.remove(&name);
                parcel.moved();
            }
            found.ok_or_else(|| SinkError::at("open", &parcel.path, io::ErrorKind::NotFound.into()))?
        };
        let id = parcel.job.as_str();
        let at_ms = shelf.0.trace.elapsed_ms();
        shelf.0.trace.mark(id.as_bytes());
        shelf
            .0
            .trace
            .note(|| format!("{process} delivers {id}, {} lines", lines.len()));
        shelf.state().deliveries.push(Delivery {
            id: parcel.job.clone(),
            queue: parcel.queue.clone(),
            by: process,
            at_ms,
            lines,
            manifest: (*parcel.manifest).clone(),
        });
        shelf.step(process).await;
        let mut state = shelf.state();
        let one_in = state.faults.unsynced_one_in;
        if one_in > 0 && state.rng.random_ratio(1, one_in) {
            let why = io::Error::other("input/output error");
            return Err(SinkError::at("sync the directory of", Path::new(id), why));
        }
        Ok(Location::new(parcel.result_name()))
    }
}

impl Sink for ShelfSink {
    fn deliver(&self, parcel: Arc<Parcel>) -> BoxFuture<'static, Result<Location, SinkError>> {
        // On a task of its own: it goes on when nobody waits for it.
        let renamed = tokio::spawn(self.clone().rename(parcel));
        Box::pin(async move {
            match renamed.await {
                Ok(outcome) => outcome,
                Err(failure) => std::panic::resume_unwind(failure.into_panic()),
            }
        })
    }

    /// On every other node, so that watchers of both kinds meet.
    fn is_near(&self) -> bool {
        self.process.node.0.is_multiple_of(2)
    }
}
