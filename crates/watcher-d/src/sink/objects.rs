//! The objects sink: S3, GCS, Azure, or a server that takes files by PUT, WebDAV or not.
//!
//! ```text
//! <url>/<name>.manifest.json      first: who sees the result sees its manifest
//! <url>/<name>.jsonl.zst          whole when it is seen: stores show an object at its end, never a part of it
//! ```
//!
//! Reading order: [`ObjectsSink`]; `place` (what a URL and its options mean), `parts` (how a file goes to a store), `server`
//! (how it goes to a server).
//!
//! Requests are repeated a few times by the store's client, then the delivery has failed and is repeated as a whole, which
//! replaces both objects by the same. A watcher that dies leaves parts of an upload that nobody sees, and that a rule of the
//! bucket should remove (S3: `AbortIncompleteMultipartUpload`). What an HTTP server shows of a PUT that broke is for it to
//! say; the manifest has the digest.

mod parts;
mod place;
mod server;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use distjob_runtime::drill;
use futures::future::BoxFuture;
use tokio::time::Instant;

use self::place::{Content, Place};
use super::{Location, Parcel, Sink, SinkError};
use crate::{config::ObjectsConfig, files::blocking};

/// Options are read again after this time, for secrets that are replaced while the watcher runs.
const FRESH_FOR: Duration = Duration::from_secs(10);

/// Puts results where a URL says. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct ObjectsSink(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: ObjectsConfig,
    timeout: Duration,
    opened: Mutex<Option<Opened>>,
}

/// The place as it was when its options were read last.
#[derive(Clone)]
struct Opened {
    place: Arc<Place>,
    options: BTreeMap<String, String>,
    at: Instant,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Opened").field(&self.place).finish()
    }
}

impl ObjectsSink {
    /// A sink as it is configured. A request, of which a large result has many, may take as long as `timeout`.
    pub(super) fn new(config: &ObjectsConfig, timeout: Duration) -> Self {
        Self(Arc::new(Inner {
            config: config.clone(),
            timeout,
            opened: Mutex::default(),
        }))
    }

    async fn put(&self, parcel: &Parcel) -> Result<Location, SinkError> {
        let place = self.place().await?;
        let manifest = Content::Bytes(parcel.manifest.to_json().into());
        place.put(&parcel.manifest_name(), manifest).await?;
        drill::point("manifest-sent");
        let name = parcel.result_name();
        place.put(&name, Content::File(&parcel.path)).await?;
        drill::point("result-sent");
        Ok(Location::new(place.shown(&name)))
    }

    /// Where to. It stays the same while the options do: it keeps connections.
    async fn place(&self) -> Result<Arc<Place>, SinkError> {
        let opened = self.opened().clone();
        if let Some(opened) = opened.as_ref().filter(|opened| opened.at.elapsed() < FRESH_FOR) {
            return Ok(Arc::clone(&opened.place));
        }
        let (config, timeout) = (self.0.config.clone(), self.0.timeout);
        let opened = blocking(move || open(&config, timeout, opened)).await?;
        let place = Arc::clone(&opened.place);
        *self.opened() = Some(opened);
        Ok(place)
    }

    fn opened(&self) -> std::sync::MutexGuard<'_, Option<Opened>> {
        self.0.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for ObjectsSink {
    fn deliver(&self, parcel: Arc<Parcel>) -> BoxFuture<'static, Result<Location, SinkError>> {
        let sink = self.clone();
        Box::pin(async move { sink.put(&parcel).await })
    }
}

/// The place as it is configured, or `before`, when nothing has changed. Blocks: it reads files.
fn open(config: &ObjectsConfig, timeout: Duration, before: Option<Opened>) -> Result<Opened, SinkError> {
    let broken = |(key, why): (String, String)| SinkError::new(format!("use objects.{key}")).because(why);
    let options = place::options(config).map_err(broken)?;
    let at = Instant::now();
    let place = match before {
        Some(before) if before.options == options => before.place,
        _ => Arc::new(Place::new(config, &options, timeout).map_err(broken)?),
    };
    Ok(Opened { place, options, at })
}

/// What of `[sink.objects]` cannot be used here and now: keys, with what is wrong with each.
pub(crate) fn problems(config: &ObjectsConfig) -> Vec<(String, String)> {
    let found = place::unknown_options(config);
    if !found.is_empty() {
        return found;
    }
    let place = place::options(config).and_then(|options| Place::new(config, &options, FRESH_FOR));
    place.err().into_iter().collect()
}

#[cfg(test)]
mod tests;
