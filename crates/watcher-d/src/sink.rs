//! What a watcher does with the result of a job.
//!
//! ```text
//! Sinks ──sink──► Sink ──collect──► Collecting ──finish──► Collected ──publish──► delivered
//!  once a daemon   once a term        once a delivery        whole, durable, and not visible yet
//! ```
//!
//! **What every sink promises:** a result is seen whole or not at all, and with its [`Manifest`]; delivering it again
//! replaces it by the same; what a member left behind that died is removed by whoever can prove its death.

mod file;
mod manifest;

use std::{
    fmt::Debug,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use distjob_core::{
    Holder, JobId, Outcome, QueueName, Roster,
    store::Slice,
    watcher::{Loss, Row},
};
use futures::future::BoxFuture;

use crate::config::SinkConfig;

pub use file::FileSinks;
pub use manifest::Manifest;

/// What could not be done, and to what; the source says why.
#[derive(Debug, thiserror::Error)]
#[error("{what} {}", path.display())]
pub struct SinkError {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl SinkError {
    /// `what` fits before the path: "create the directory".
    #[must_use]
    pub fn new(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self {
            what,
            path: path.to_owned(),
            source,
        }
    }
}

/// Why a result was not put together.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// It could not be written.
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

/// What is in a result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tasks with a value.
    pub ok: u64,
    /// Tasks with an error.
    pub err: u64,
    /// How often tasks were run; once each where nobody kept count.
    pub attempts: u64,
    /// Bytes of the result.
    pub bytes: u64,
}

impl Tally {
    /// Counts one task, but not the bytes of its line.
    pub fn count(&mut self, row: &Row<'_>) {
        match row.outcome {
            Outcome::Ok(_) => self.ok += 1,
            Outcome::Err(_) => self.err += 1,
        }
        self.attempts += row.account.map_or(1, |account| u64::from(account.attempts));
    }
}

/// Makes the sinks of a daemon's members.
pub trait Sinks: Debug + Send + Sync {
    /// The sink of member `holder`. Does nothing yet: errors come when it is used.
    fn sink(&self, config: &SinkConfig, holder: &Holder) -> Arc<dyn Sink>;
}

/// The sink of one member.
pub trait Sink: Debug + Send + Sync {
    /// Begins to collect a job's result. Errors come with the first slice or at the end.
    fn collect(&self, id: &JobId, queue: &QueueName) -> Box<dyn Collecting>;

    /// Removes what dead members left behind, as far as `roster`, a list of the watchers, proves them dead. Returns how
    /// many results.
    ///
    /// # Errors
    /// With the first one that could not be looked at or removed.
    ///
    /// # Cancel safety
    /// Dropping the future may let the sweep go on to its end.
    fn sweep(&self, roster: Arc<Roster>) -> BoxFuture<'static, Result<usize, SinkError>>;
}

/// A result that is being collected. Whatever ends early, by an error, by [`discard`](Self::discard) or by being dropped,
/// leaves nothing behind.
pub trait Collecting: Debug + Send + Sync {
    /// Hands over the next slice, as soon as there is room for it. `false` when the sink has given up:
    /// [`finish`](Self::finish) says why.
    ///
    /// Cancel safe in so far as the slice is then either taken or not; discard the result.
    fn push(&self, slice: Slice) -> BoxFuture<'_, bool>;

    /// Takes what is left and makes all of it durable, still without a name.
    ///
    /// # Errors
    /// What went wrong on the way; nothing is left then.
    ///
    /// # Cancel safety
    /// Dropping the future discards the result.
    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<Box<dyn Collected>, CollectError>>;

    /// Gives up, and returns when nothing is left.
    fn discard(self: Box<Self>) -> BoxFuture<'static, ()>;
}

/// A whole and durable result that nobody sees yet. Dropping it removes it.
#[must_use = "what is not published is removed"]
pub trait Collected: Debug + Send {
    /// What is in it.
    fn tally(&self) -> Tally;

    /// Makes first `manifest` and then the result visible, in place of earlier ones of that name: nobody sees a result
    /// without its manifest, whenever the machine stops.
    ///
    /// # Errors
    /// When that fails; they may be visible all the same.
    ///
    /// # Cancel safety
    /// Dropping the future lets it go on to its end.
    fn publish(self: Box<Self>, manifest: Manifest) -> BoxFuture<'static, Result<(), SinkError>>;
}
