//! The redis sink: a list or a stream in the store's own Redis, with an entry a job, or one a line of the result.
//!
//! Entries go in by a script that also writes, in the same step, how many of this result's are there, under
//! `<prefix>sink:{<key>}:<id>.<life>`, for as long as is configured. So a delivery that is repeated, whether its reply was
//! lost or the watcher died in the middle of many lines, adds only what is missing.
//!
//! A list has the manifest, or the lines, as they are; a stream has entries with the fields `job`, and `manifest` or `line`.

mod lines;
mod script;

use std::sync::Arc;

use distjob_runtime::store::{StoreSettings, connect};
use futures::future::BoxFuture;
use redis::aio::MultiplexedConnection;
use tokio::sync::Mutex;

use self::{lines::Lines, script::Batch};
use super::{Location, Parcel, Sink, SinkError};
use crate::config::{Entries, ListConfig};

/// Adds to a list or a stream. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct ListSink(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: ListConfig,
    store: StoreSettings,
    /// Kept until something goes wrong with it.
    connection: Mutex<Option<MultiplexedConnection>>,
}

impl ListSink {
    /// A sink as it is configured, in the store with these settings.
    pub(super) fn new(config: &ListConfig, store: &StoreSettings) -> Self {
        Self(Arc::new(Inner {
            config: config.clone(),
            store: store.clone(),
            connection: Mutex::default(),
        }))
    }

    async fn add(&self, parcel: &Arc<Parcel>) -> Result<Location, SinkError> {
        let Inner { config, store, .. } = &*self.0;
        let connection = self.connection().await?;
        let mut writer = script::Writer::new(connection, config, &store.keys, parcel);
        let added = match config.what {
            Entries::Manifest => add_manifest(&mut writer, parcel).await,
            Entries::Line => add_lines(&mut writer, parcel).await,
        };
        if added.is_err() {
            *self.0.connection.lock().await = None;
        }
        added?;
        Ok(Location::new(format!("redis:{}", config.key)))
    }

    async fn connection(&self) -> Result<MultiplexedConnection, SinkError> {
        let mut kept = self.0.connection.lock().await;
        if let Some(connection) = &*kept {
            return Ok(connection.clone());
        }
        let fresh = connect(&self.0.store).await;
        let fresh = fresh.map_err(|error| SinkError::new("connect to Redis").because(error))?;
        *kept = Some(fresh.clone());
        Ok(fresh)
    }
}

impl Sink for ListSink {
    fn deliver(&self, parcel: Arc<Parcel>) -> BoxFuture<'static, Result<Location, SinkError>> {
        let sink = self.clone();
        Box::pin(async move { sink.add(&parcel).await })
    }
}

async fn add_manifest(writer: &mut script::Writer<'_>, parcel: &Parcel) -> Result<(), SinkError> {
    let manifest = serde_json::to_vec(&*parcel.manifest)
        .map_err(|error| SinkError::new("write the manifest").because(error))?;
    let batch = Batch {
        from: 0,
        entries: vec![manifest],
    };
    writer.add("manifest", &batch).await.map(drop)
}

async fn add_lines(writer: &mut script::Writer<'_>, parcel: &Arc<Parcel>) -> Result<(), SinkError> {
    let mut lines = Lines::of(Arc::clone(parcel))?;
    let mut known = 0;
    while let Some(batch) = lines.next().await? {
        // What an earlier delivery has added is passed over without being sent.
        if batch.end() > known {
            known = writer.add("line", &batch).await?;
        }
    }
    Ok(())
}
