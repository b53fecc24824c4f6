//! Where simulated watchers deliver to: files of memory that outlive the watchers.
//!
//! What the file sink promises is modelled with what can go wrong with it: writing takes time, the disk is full for a
//! while, the rename happens and the sync behind it fails, the process dies between any two of these.

mod file;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use distjob_core::{Holder, JobId, QueueName, Roster};
use distjob_runtime::chance;
use futures::future::BoxFuture;
use rand::{RngExt as _, rngs::StdRng};
use tokio::time::sleep;
use watcher_d::{
    SinkConfig,
    sink::{Collecting, Manifest, Sink, SinkError, Sinks},
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
    /// Files that are being written, by their temporary name.
    partials: BTreeMap<(Holder, u64), JobId>,
    next_partial: u64,
    deliveries: Vec<Delivery>,
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
        let partials = state.partials.iter();
        partials
            .map(|((holder, _), id)| (holder.clone(), id.clone()))
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
    fn sink(&self, _: &SinkConfig, holder: &Holder) -> Arc<dyn Sink> {
        Arc::new(ShelfSink {
            shelf: self.shelf.clone(),
            process: self.process,
            holder: holder.clone(),
        })
    }
}

#[derive(Clone, Debug)]
struct ShelfSink {
    shelf: Shelf,
    process: Process,
    holder: Holder,
}

impl Sink for ShelfSink {
    fn collect(&self, id: &JobId, queue: &QueueName) -> Box<dyn Collecting> {
        Box::new(file::Open::new(self.clone(), id.clone(), queue.clone()))
    }

    fn sweep(&self, roster: Arc<Roster>) -> BoxFuture<'static, Result<usize, SinkError>> {
        let sink = self.clone();
        Box::pin(async move {
            sink.shelf.step(sink.process).await;
            let mut state = sink.shelf.state();
            let before = state.partials.len();
            state
                .partials
                .retain(|(holder, _), _| !roster.proves_dead(holder));
            Ok(before - state.partials.len())
        })
    }
}
