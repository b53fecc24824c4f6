//! The file sink: one file a job, with one line a task.
//!
//! ```text
//! <directory>/
//! └── <queue>/
//!     ├── <id>.jsonl                      delivered: whole, and on the disk
//!     ├── <id>.manifest.json              what that is, in short; on the disk before it
//!     └── .partial/<id>.<born>.<member>   being written, or left behind by a member that died;
//!                                         so is <id>.<born>.<member>.manifest
//! ```
//!
//! A file is written under a temporary name in the same file system, synced, and only then renamed; the directory is
//! synced after that. So whoever sees `<id>.jsonl` sees all of it, whenever the machine stopped. The manifest goes the
//! same way first: who sees a result sees what it is. A manifest whose result never came, because the job was cancelled
//! just then, says no more than that somebody was about to deliver it. Delivering a job again replaces both by the same.
//!
//! The temporary name carries the member as leases carry it, with its birth, so that the proof of death that goes for
//! leases goes for leftovers, too ([`FileSink::sweep`]).

mod line;
mod partial;
mod sweep;
mod writing;

use std::{
    collections::HashSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use distjob_core::{Holder, JobId, QueueName, Roster};
use futures::future::BoxFuture;
use tokio::task::spawn_blocking;

use self::{partial::Place, writing::WritingFile};
use super::{CollectError, Collecting, Manifest, Sink, SinkError, Sinks, Tally};
use crate::config::SinkConfig;

/// Results become files on this machine.
#[derive(Clone, Copy, Debug)]
pub struct FileSinks;

impl Sinks for FileSinks {
    fn sink(&self, config: &SinkConfig, holder: &Holder) -> Arc<dyn Sink> {
        Arc::new(FileSink::new(config.directory.clone(), holder.clone()))
    }
}

/// The sink of one member. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct FileSink {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    directory: PathBuf,
    holder: Holder,
    /// The queues whose directories are known to be on the disk.
    settled: Mutex<HashSet<QueueName>>,
}

impl FileSink {
    /// The sink of member `holder` in `directory`, which is created when it is first needed.
    fn new(directory: PathBuf, holder: Holder) -> Self {
        Self {
            inner: Arc::new(Inner {
                directory,
                holder,
                settled: Mutex::default(),
            }),
        }
    }

    fn queue_directory(&self, queue: &QueueName) -> PathBuf {
        self.inner.directory.join(queue.as_str())
    }

    /// Where the result of a job goes, and where it is written before.
    fn result(&self, id: &JobId, queue: &QueueName) -> Place {
        let (directory, holder) = (self.queue_directory(queue), &self.inner.holder);
        Place {
            target: directory.join(format!("{id}.jsonl")),
            partial: directory.join(sweep::PARTIAL).join(format!("{id}.{holder}")),
        }
    }

    /// The same for its manifest.
    fn manifest(&self, id: &JobId, queue: &QueueName) -> Place {
        let (directory, holder) = (self.queue_directory(queue), &self.inner.holder);
        let partial = format!("{id}.{holder}{}", sweep::MANIFEST);
        Place {
            target: directory.join(format!("{id}.manifest.json")),
            partial: directory.join(sweep::PARTIAL).join(partial),
        }
    }

    /// Makes sure of the directories of a queue, on the disk.
    fn settle(&self, queue: &QueueName) -> Result<(), SinkError> {
        let directory = self.queue_directory(queue);
        let partial = directory.join(sweep::PARTIAL);
        let is_settled = self.settled().contains(queue);
        if is_settled && partial.is_dir() {
            return Ok(());
        }
        make_directories(&partial)?;
        // Another process may have made them a moment ago and not synced them yet.
        sync(&self.inner.directory)?;
        sync(&directory)?;
        if !is_settled {
            self.settled().insert(queue.clone());
        }
        Ok(())
    }

    fn settled(&self) -> MutexGuard<'_, HashSet<QueueName>> {
        self.inner.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for FileSink {
    fn collect(&self, id: &JobId, queue: &QueueName) -> Box<dyn Collecting> {
        Box::new(WritingFile::start(self.clone(), id.clone(), queue.clone()))
    }

    fn sweep(&self, roster: Arc<Roster>) -> BoxFuture<'static, Result<usize, SinkError>> {
        let sink = self.clone();
        Box::pin(blocking(move || {
            sweep::sweep(&sink.inner.directory, |holder| roster.proves_dead(holder))
        }))
    }
}

/// Creates what is missing of a path, each directory synced into its parent.
fn make_directories(path: &Path) -> Result<(), SinkError> {
    let missing: Vec<&Path> = path.ancestors().take_while(|level| !level.is_dir()).collect();
    for level in missing
        .into_iter()
        .rev()
        .filter(|level| !level.as_os_str().is_empty())
    {
        match fs::create_dir(level) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && level.is_dir() => {}
            Err(error) => return Err(SinkError::new("create the directory", level, error)),
        }
        match level.parent() {
            Some(parent) if parent.as_os_str().is_empty() => sync(Path::new("."))?,
            Some(parent) => sync(parent)?,
            None => {}
        }
    }
    Ok(())
}

/// Brings a directory's entries to the disk.
fn sync(directory: &Path) -> Result<(), SinkError> {
    File::open(directory)
        .and_then(|opened| opened.sync_all())
        .map_err(|error| SinkError::new("sync the directory", directory, error))
}

/// Runs file I/O where it may block. Dropping the future does not stop it.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
        Ok(output) => output,
        Err(failure) => std::panic::resume_unwind(failure.into_panic()),
    }
}

#[cfg(test)]
mod tests;
