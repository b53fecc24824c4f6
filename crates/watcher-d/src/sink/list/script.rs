//! Adding entries once, however often that is tried.

use std::sync::LazyLock;

use distjob_core::KeyScheme;
use distjob_runtime::drill;
use redis::{RedisError, Script, aio::MultiplexedConnection};

use crate::{
    config::{ListConfig, ListKind},
    sink::{Parcel, SinkError},
};

/// ```text
/// KEYS  1 list or stream  2 how many entries of this result are there
/// ARGV  1 list or stream  2 most entries, 0: any  3 seconds for which that is remembered
///       4 the place of the first entry in the result  5 its field  6 the job  7… entries
/// Returns how many entries of this result are there
/// ```
/// Without room for more it fails before it has written anything: it has no flag that lets it write then.
static ADD: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("add.lua")));

/// Some entries of a result, in their order.
#[derive(Debug)]
pub(super) struct Batch {
    /// The place of the first one.
    pub(super) from: u64,
    /// The entries.
    pub(super) entries: Vec<Vec<u8>>,
}

impl Batch {
    /// The place behind the last one.
    pub(super) fn end(&self) -> u64 {
        self.from + self.entries.len() as u64
    }
}

/// Adds the entries of one result.
pub(super) struct Writer<'a> {
    connection: MultiplexedConnection,
    config: &'a ListConfig,
    marker: String,
    job: String,
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        connection: MultiplexedConnection,
        config: &'a ListConfig,
        keys: &KeyScheme,
        parcel: &Parcel,
    ) -> Self {
        Self {
            connection,
            config,
            marker: keys.sink_mark(&config.key, &parcel.job, parcel.life),
            job: parcel.job.to_string(),
        }
    }

    /// Adds what is not there of a batch. How many entries of the result are there then.
    ///
    /// # Errors
    /// When Redis cannot be reached, has no room, or has something else under that key. What was added then is known, and not
    /// added again.
    pub(super) async fn add(&mut self, field: &str, batch: &Batch) -> Result<u64, SinkError> {
        let ListConfig {
            key,
            kind,
            max_length,
            remember,
            ..
        } = self.config;
        let mut call = ADD.prepare_invoke();
        call.key(key)
            .key(&self.marker)
            .arg(match kind {
                ListKind::List => "list",
                ListKind::Stream => "stream",
            })
            .arg(*max_length)
            .arg(remember.as_secs())
            .arg(batch.from)
            .arg(field)
            .arg(&self.job);
        for entry in &batch.entries {
            call.arg(entry.as_slice());
        }
        let failed = |error: RedisError| SinkError::new(format!("add to {key} in Redis")).because(error);
        let there = call.invoke_async(&mut self.connection).await.map_err(failed)?;
        drill::point("entries-added");
        Ok(there)
    }
}
