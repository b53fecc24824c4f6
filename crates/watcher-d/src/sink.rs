//! The file sink: one file a job, with one line a task.
//!
//! ```text
//! <directory>/
//! └── <queue>/
//!     ├── <id>.jsonl                      delivered: whole, and on the disk
//!     └── .partial/<id>.<born>.<member>   being written, or left behind by a member that died
//! ```
//!
//! A file is written under a temporary name in the same file system, synced, and only then renamed; the directory is
//! synced after that. So whoever sees `<id>.jsonl` sees all of it, whenever the machine stopped. Delivering a job
//! again replaces its file by the same one.
//!
//! The temporary name carries the member as leases carry it, with its birth, so that the proof of death that goes for
//! leases goes for leftovers, too ([`FileSink::sweep`]).

mod collecting;
mod line;
mod sweep;

use std::{
    collections::HashSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use distjob_core::{Holder, JobId, QueueName, Roster};
use tokio::task::spawn_blocking;

pub(crate) use collecting::{CollectError, Collected, Collecting, Tally};

/// What could not be done, and to what; the source says why.
#[derive(Debug, thiserror::Error)]
#[error("{what} {}", path.display())]
pub(crate) struct SinkError {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl SinkError {
    fn new(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self {
            what,
            path: path.to_owned(),
            source,
        }
    }
}

/// The sink of one member. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct FileSink {
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
    #[must_use]
    pub(crate) fn new(directory: PathBuf, holder: Holder) -> Self {
        Self {
            inner: Arc::new(Inner {
                directory,
                holder,
                settled: Mutex::default(),
            }),
        }
    }

    /// Where it delivers to.
    #[must_use]
    pub(crate) fn directory(&self) -> &Path {
        &self.inner.directory
    }

    /// Begins to write a job's file. Errors come with the first slice or at the end.
    #[must_use]
    pub(crate) fn collect(&self, id: &JobId, queue: &QueueName) -> Collecting {
        Collecting::start(self.clone(), id.clone(), queue.clone())
    }

    /// Removes what dead members left behind, as far as `roster`, a list of the watchers, proves them dead. Returns how
    /// many files.
    ///
    /// # Errors
    /// With the first file or directory that could not be read or removed.
    ///
    /// # Cancel safety
    /// Dropping the future lets the sweep go on to its end.
    pub(crate) async fn sweep(&self, roster: Arc<Roster>) -> Result<usize, SinkError> {
        let sink = self.clone();
        blocking(move || sweep::sweep(sink.directory(), |holder| roster.proves_dead(holder))).await
    }

    fn queue_directory(&self, queue: &QueueName) -> PathBuf {
        self.inner.directory.join(queue.as_str())
    }

    fn target(&self, id: &JobId, queue: &QueueName) -> PathBuf {
        self.queue_directory(queue).join(format!("{id}.jsonl"))
    }

    fn partial(&self, id: &JobId, queue: &QueueName) -> PathBuf {
        self.queue_directory(queue)
            .join(sweep::PARTIAL)
            .join(format!("{id}.{}", self.inner.holder))
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
