//! The job store: Redis, and the scripts that are the only way in which distjob changes a job there.
//!
//! What the scripts do is told in [`distjob_core::store`]; here are the Lua (`store/lua/`) and the
//! client: [`JobStore`] above the [`Line`]s through which a server is reached.
//!
//! # Errors
//! Every call fails with a [`StoreError`], which tells what is known: *unclear* (it may have happened), *unavailable*
//! (it did not), *rejected* (it did not, and repeating will not help). All scripts may be repeated; [`retrying`] does.
//!
//! # Cancellation safety
//! A dropped future does not cancel its command: it is as good as an unclear reply.
//!
//! # Order
//! All calls about one job go through the same connection, so that their replies come in the order of their effects.
//! Calls that run at the same time are pipelined. The order is lost where a connection is, and where a server has to
//! be given a script that it forgot.
//!
//! # What the server must be
//! Redis 7.0 or later, or Valkey, with `maxmemory-policy noeviction`. Only a `push` of tasks is refused when memory is short:
//! everything else is what makes memory free again. The scripts do not declare themselves read-only even where they
//! are, on purpose: a server that was demoted to a replica then refuses them instead of answering from the past.

mod client;
mod connection;
mod counts;
mod error;
mod errors_metric;
mod line;
mod retry;
mod scan;
mod scripts;
mod server;

use std::time::Duration;

pub use client::{JobStore, Memory};
pub use connection::ConnectionState;
pub use counts::StoreCounts;
use distjob_core::{KeyScheme, keys::PrefixError};
pub use error::StoreError;
pub use errors_metric::StoreErrors;
pub use line::{Dial, Freeing, Line, Lines, Reply};
pub(crate) use retry::backoff;
pub use retry::retrying;
pub use scan::{MetaEntry, MetaPage};
pub use scripts::scripts;
pub use server::connect;

use crate::config::RedisConfig;

/// Where the store is and how to talk to it.
#[derive(Clone)]
pub struct StoreSettings {
    /// `redis://[user:password@]host:port/db` or `redis+unix:///socket`.
    pub url: String,
    /// Where the keys are.
    pub keys: KeyScheme,
    /// How long a reply may take until the call is unclear.
    pub response_timeout: Duration,
    /// How long connecting may take.
    pub connection_timeout: Duration,
    /// How many connections; at least one.
    pub connections: usize,
}

impl StoreSettings {
    /// The store at `url` with sensible timeouts and two connections.
    #[must_use]
    pub fn new(url: impl Into<String>, keys: KeyScheme) -> Self {
        Self {
            url: url.into(),
            keys,
            response_timeout: Duration::from_secs(10),
            connection_timeout: Duration::from_secs(5),
            connections: 2,
        }
    }
}

impl TryFrom<&RedisConfig> for StoreSettings {
    type Error = PrefixError;

    /// What `[redis]` says.
    fn try_from(config: &RedisConfig) -> Result<Self, PrefixError> {
        Ok(Self {
            response_timeout: config.response_timeout,
            connection_timeout: config.connect_timeout,
            ..Self::new(config.url.as_str(), KeyScheme::new(config.prefix.as_str())?)
        })
    }
}

impl std::fmt::Debug for StoreSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL may hold a password.
        f.debug_struct("StoreSettings")
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}
