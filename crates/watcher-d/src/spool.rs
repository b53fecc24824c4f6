//! Where results are put together before anybody sees them.
//!
//! ```text
//! Recipe ──collect──► Collecting ──push, push, finish──► Collected
//!  format, archive     rows become bytes become a file    whole, durable, without a name
//! ```
//!
//! A result is a file in the spool as long as its [`Collected`] lives: until every sink has it, or until somebody else
//! delivers the job. What a watcher leaves there when it dies is removed by whoever can prove its death.

mod disk;
mod recipe;
mod tally;
mod writing;

use std::{fmt::Debug, path::PathBuf, sync::Arc};

use distjob_core::{Roster, store::Slice, watcher::Loss};
use futures::future::BoxFuture;

pub(crate) use self::disk::DiskSpool;
pub use self::{recipe::Recipe, tally::Tally};
use crate::sink::{Hold, SinkError};

/// Why a result was not put together.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// It could not be written.
    #[error(transparent)]
    Spool(#[from] SinkError),
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

/// The spool of one member.
pub trait Spool: Debug + Send + Sync {
    /// Begins to collect a job's result. Errors come with the first slice or at the end.
    fn collect(&self, recipe: Recipe) -> Box<dyn Collecting>;

    /// Whether a result still is where it was put: whoever was handed its path, or cleans up directories, may have taken it
    /// away or cut it. One that is not is collected again.
    fn has(&self, collected: &Collected) -> BoxFuture<'static, bool> {
        let _ = collected;
        Box::pin(async { true })
    }

    /// Removes what dead members left behind, as far as `roster`, a list of the watchers, proves them dead. Returns how
    /// many files.
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
    /// Hands over the next slice, as soon as there is room for it. `false` when the writer has given up:
    /// [`finish`](Self::finish) says why.
    ///
    /// Cancel safe in so far as the slice is then either taken or not; discard the result.
    fn push(&self, slice: Slice) -> BoxFuture<'_, bool>;

    /// Takes what is left and makes all of it durable.
    ///
    /// # Errors
    /// What went wrong on the way; nothing is left then.
    ///
    /// # Cancel safety
    /// Dropping the future discards the result.
    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<Collected, CollectError>>;

    /// Gives up, and returns when nothing is left.
    fn discard(self: Box<Self>) -> BoxFuture<'static, ()>;
}

/// A whole and durable result that nobody sees yet.
#[derive(Clone, Debug)]
pub struct Collected {
    /// Where it is. Its file name is that of no other result on this machine.
    pub path: PathBuf,
    /// What is in it.
    pub tally: Tally,
    /// The digest of the file, SHA-256 as 64 hexadecimal digits.
    pub sha256: String,
    /// Keeps the file.
    pub hold: Hold,
}
