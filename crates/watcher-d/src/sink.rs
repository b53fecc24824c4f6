//! Where the results of jobs go.
//!
//! ```text
//! spool ──► Parcel ──deliver──► Sink, each of the queue's ──► Location ──► uploaded, when all of them have it
//!           whole, durable,      a directory, a store of objects, …
//!           on this machine
//! ```
//!
//! **What every sink promises:** a result is seen whole or not at all, and with its [`Manifest`]; delivering it again
//! replaces it by the same, or can be told from the first time; what a member left behind that died is removed by whoever
//! can prove its death.

mod command;
mod directory;
mod error;
mod guard;
mod http;
mod list;
mod manifest;
pub(crate) mod objects;
mod parcel;
mod sinks;
pub(crate) mod webhook;

use std::{fmt::Debug, sync::Arc};

use distjob_core::Roster;
use futures::future::BoxFuture;

pub(crate) use self::guard::{Guarded, Place, Places};
pub use self::{
    error::SinkError,
    manifest::{Manifest, Versions},
    parcel::{Hold, Location, Parcel},
    sinks::{DaemonSinks, Sinks},
};

/// One place where results go. It is made once, and used by many deliveries at a time.
pub trait Sink: Debug + Send + Sync {
    /// Brings a result and its manifest there, in place of earlier ones of that name: nobody sees the result without its
    /// manifest, whenever the machine stops. The parcel stays whole while the future lives, or somebody holds the `Arc`.
    ///
    /// A delivery that makes no progress must fail by itself; for how long it may make none is for the sink to be told.
    ///
    /// # Errors
    /// When that fails; they may be there all the same. The delivery is repeated later.
    ///
    /// # Cancel safety
    /// Dropping the future may let it go on to its end.
    fn deliver(&self, parcel: Arc<Parcel>) -> BoxFuture<'static, Result<Location, SinkError>>;

    /// Whether it is a directory, or as near: bringing it a small result takes no memory, and as a rule no more than a
    /// moment, however many come at the same time.
    fn is_near(&self) -> bool {
        false
    }

    /// Removes what dead members left behind, as far as `roster`, a list of the watchers, proves them dead. Returns how
    /// many things. A sink that can leave nothing behind has nothing to do.
    ///
    /// # Errors
    /// With the first one that could not be looked at or removed.
    ///
    /// # Cancel safety
    /// Dropping the future may let the sweep go on to its end.
    fn sweep(&self, roster: Arc<Roster>) -> BoxFuture<'static, Result<usize, SinkError>> {
        drop(roster);
        Box::pin(async { Ok(0) })
    }
}
