//! Redis as a model: the scripts in plain Rust, times to live, and what may befall a server.
//!
//! ```text
//!  JobStore ── Line ── Wire ──► script ──► keys of one job ──► partition, outcomes: records
//!                                 │ before                         ▲
//!                                 └──────► tail of writes ── lost ─┘
//! ```
//!
//! Each script runs whole at the moment in which its request arrives. After each of them the job's pieces must be a
//! partition, and no task may have had two outcomes; what breaks that is kept as a violation. The last writes can be
//! undone, as a restart from an append-only file does whose tail is missing.
//!
//! Reading order: this file (the faults), `server` (how a request is executed), `keys` (what stands there), `record`
//! (what is kept for those who check), `line` (the client's end), `bug` (servers that are broken on purpose).

mod bug;
mod keys;
mod line;
mod record;
mod server;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use distjob_core::{JobId, store::model::Model};
use distjob_runtime::store::Dial;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::time::timeout;

pub use self::{
    bug::Bug,
    record::{Counts, DeadFreed, Record},
};
use self::{line::Dialer, server::State};
use crate::{
    network::{Cut, Network, Process, Server},
    tally::Tally,
    trace::Trace,
};

/// How long a program waits that pushes a plain submission.
const PLAIN_PATIENCE: Duration = Duration::from_secs(10);

/// The store of one run. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Redis(Arc<Shared>);

struct Shared {
    network: Network,
    trace: Trace,
    state: Mutex<State>,
    repeats: Mutex<Repeats>,
    tally: Tally,
}

/// How often a client sends a request twice.
struct Repeats {
    rng: StdRng,
    one_in: u32,
}

/// Why a server refuses what it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It was demoted: whatever might write is refused, and so is every script.
    ReadOnly,
    /// It has not read its data yet: everything is refused.
    Loading,
    /// Its memory is used up: what makes data grow is refused.
    NoMemory,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").finish_non_exhaustive()
    }
}

impl Redis {
    /// An empty store that is reached through `network`.
    #[must_use]
    pub fn new(network: Network, seed: u64, trace: Trace) -> Self {
        Self(Arc::new(Shared {
            network,
            trace,
            state: Mutex::default(),
            repeats: Mutex::new(Repeats {
                rng: StdRng::seed_from_u64(seed),
                one_in: 0,
            }),
            tally: Tally::default(),
        }))
    }

    /// How `process` connects.
    #[must_use]
    pub fn dial(
        &self,
        process: Process,
        response_timeout: Duration,
        connect_timeout: Duration,
    ) -> Arc<dyn Dial> {
        Arc::new(Dialer {
            redis: self.clone(),
            process,
            response_timeout,
            connect_timeout,
        })
    }

    /// Pushes a plain submission as any program might: one connection, one attempt.
    ///
    /// # Errors
    /// When the connection is cut, or cannot be made, or nothing is answered for 10 s: the tasks may be there, or come
    /// later.
    pub async fn push_plain(&self, process: Process, id: &JobId, tasks: Vec<Vec<u8>>) -> Result<(), Cut> {
        let (redis, id) = (self.clone(), id.clone());
        let pushing = async {
            let wire = self.0.network.connect(process, Server::Redis).await?;
            wire.call(move || redis.append_plain(&id, tasks)).await
        };
        match timeout(PLAIN_PATIENCE, pushing).await {
            Ok(Ok(Ok(()))) => Ok(()),
            // A server that refuses says so; for the one who pushes that is no better.
            Ok(Ok(Err(_)) | Err(Cut)) | Err(_) => Err(Cut),
        }
    }

    /// Lets the server refuse, or not any more.
    pub fn refuse(&self, refusal: Option<Refusal>) {
        self.note(|| format!("redis refuses {refusal:?}"));
        self.state().refusal = refusal;
    }

    /// Undoes the last writes, at most so many, as far as they are remembered. Returns how many that were. For a server
    /// that is down.
    pub fn lose_tail(&self, writes: usize) -> usize {
        let undone = self.state().undo(writes);
        self.0.trace.mark(b"lose tail");
        self.note(|| format!("redis loses its last {undone} writes"));
        undone
    }

    /// Takes all data away.
    pub fn empty(&self) {
        self.state().empty();
        self.0.trace.mark(b"empty");
        self.note(|| "redis loses everything".to_owned());
    }

    /// From now on one request in so many is sent twice, and only the second reply counts, as a client does it that
    /// repeats by itself; 0: none is.
    pub fn repeat_one_in(&self, one_in: u32) {
        self.repeats().one_in = one_in;
    }

    /// Breaks the server: for tests of the checkers.
    pub fn break_with(&self, bug: Bug) {
        self.state().bug = Some(bug);
    }

    /// What each process has sent until now.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.0.tally
    }

    /// What was recorded.
    #[must_use]
    pub fn record(&self) -> Record {
        self.state().record.clone()
    }

    /// What is wrong with the store by itself, in the order in which it was noticed.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.state().record.violations.clone()
    }

    /// What stands there of a job, if anything, once what is past its time to live is gone.
    #[must_use]
    pub fn job(&self, id: &JobId) -> Option<Model> {
        self.state().keys.look(id).map(|job| job.model.clone())
    }

    /// The jobs of which something stands there, be it only a tombstone.
    #[must_use]
    pub fn jobs(&self) -> Vec<JobId> {
        self.state().keys.ids()
    }

    fn repeats_now(&self) -> bool {
        let mut repeats = self.repeats();
        let one_in = repeats.one_in;
        one_in > 0 && repeats.rng.random_ratio(1, one_in)
    }

    fn note(&self, text: impl FnOnce() -> String) {
        self.0.trace.note(text);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn repeats(&self) -> MutexGuard<'_, Repeats> {
        self.0.repeats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
