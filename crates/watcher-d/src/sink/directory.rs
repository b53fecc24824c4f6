//! Results become files in a directory.
//!
//! ```text
//! <directory>/
//! ├── .partial/…                    being written, or left behind by a member that died
//! └── <queue>/                      as the queue's `name` has it
//!     ├── <id>.jsonl                delivered: whole, and on the disk
//!     └── <id>.manifest.json        what that is, in short; on the disk before it
//! ```
//!
//! A file stands under a temporary name in the same file system, synced, and only then is renamed; the directory is
//! synced after that. So whoever sees `<id>.jsonl` sees all of it, whenever the machine stopped. The manifest goes the
//! same way first: who sees a result sees what it is. A manifest whose result never came, because the job was cancelled
//! just then, says no more than that somebody was about to deliver it. Delivering a job again replaces both by the same.
//!
//! The result itself is moved there from the spool when nobody else needs it, linked when somebody does, and copied when
//! it is on another file system.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, ErrorKind, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use distjob_core::{Roster, SinkName};
use distjob_runtime::drill;
use futures::future::BoxFuture;

use super::{Location, Parcel, Sink, SinkError};
use crate::files::{
    PARTIAL, Partial, Renamed, SharedDirectory, TemporaryPath, blocking, make_directories, sweep, sync,
};

/// So many directories are remembered to be on the disk, then all are forgotten.
const SETTLED_MAX: usize = 1024;

/// A directory as a sink. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct DirectorySink {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    name: SinkName,
    directory: PathBuf,
    /// Directories that are known to be on the disk.
    settled: Mutex<HashMap<PathBuf, Arc<SharedDirectory>>>,
}

impl DirectorySink {
    /// The sink of that name in `directory`, which is created when it is first needed.
    pub(super) fn new(name: SinkName, directory: &Path) -> Self {
        Self {
            inner: Arc::new(Inner {
                name,
                directory: directory.to_owned(),
                settled: Mutex::default(),
            }),
        }
    }
}

impl Sink for DirectorySink {
    fn deliver(&self, parcel: Arc<Parcel>) -> BoxFuture<'static, Result<Location, SinkError>> {
        let inner = Arc::clone(&self.inner);
        Box::pin(blocking(move || inner.deliver(&parcel)))
    }

    fn is_near(&self) -> bool {
        true
    }

    fn sweep(&self, roster: Arc<Roster>) -> BoxFuture<'static, Result<usize, SinkError>> {
        let inner = Arc::clone(&self.inner);
        Box::pin(blocking(move || {
            sweep(&inner.directory.join(PARTIAL), |holder| {
                roster.proves_dead(holder)
            })
        }))
    }
}

impl Inner {
    fn deliver(&self, parcel: &Parcel) -> Result<Location, SinkError> {
        let manifest = self.directory.join(parcel.manifest_name());
        let result = self.directory.join(parcel.result_name());
        let directory = self.settle(&result)?;
        self.write_manifest(parcel, &manifest)?.settle(&directory)?;
        drill::point("manifest");
        let renamed = self.place(parcel, &result)?;
        drill::point("after-rename");
        renamed.settle(&directory)?;
        Ok(Location::new(result.display().to_string()))
    }

    /// Returns when the manifest is on the disk and has its name.
    fn write_manifest(&self, parcel: &Parcel, target: &Path) -> Result<Renamed, SinkError> {
        let mut partial = Partial::create(self.partial(parcel, "manifest")?)?;
        partial
            .write_all(&parcel.manifest.to_json())
            .map_err(|error| SinkError::at("write to", partial.path(), error))?;
        partial.sync()?;
        drill::point("manifest-written");
        partial.close().rename(target)
    }

    /// Gives the result its name here.
    fn place(&self, parcel: &Parcel, target: &Path) -> Result<Renamed, SinkError> {
        if parcel.may_be_moved {
            match fs::rename(&parcel.path, target) {
                Ok(()) => {
                    parcel.moved();
                    return Ok(Renamed::new());
                }
                Err(error) if error.kind() == ErrorKind::CrossesDevices => {}
                Err(error) => return Err(SinkError::at("rename a partial file to", target, error)),
            }
        }
        let path = self.partial(parcel, "result")?;
        match fs::hard_link(&parcel.path, &path) {
            Ok(()) => TemporaryPath::new(path).rename_link(target),
            // Wherever it cannot be linked it may well be copied; if not, the copy says why.
            Err(_) => copy(&parcel.path, path)?.rename(target),
        }
    }

    /// The temporary name of a part of a delivery.
    fn partial(&self, parcel: &Parcel, part: &str) -> Result<PathBuf, SinkError> {
        let missing = || SinkError::at("name a copy of", &parcel.path, ErrorKind::InvalidInput.into());
        let spooled = parcel
            .path
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or_else(missing)?;
        let name = format!("{spooled}.{}.{part}", self.name);
        Ok(self.directory.join(PARTIAL).join(name))
    }

    /// Makes sure of the directories of a result, on the disk. Returns the last of them.
    fn settle(&self, result: &Path) -> Result<Arc<SharedDirectory>, SinkError> {
        let partial = self.directory.join(PARTIAL);
        if !partial.is_dir() {
            make_directories(&partial)?;
        }
        let parent = result.parent().unwrap_or(&self.directory);
        let settled = self.settled(|settled| settled.get(parent).cloned());
        if let Some(directory) = settled.filter(|_| parent.is_dir()) {
            return Ok(directory);
        }
        make_directories(parent)?;
        // Another process may have made them a moment ago and not synced them yet.
        let levels = parent
            .ancestors()
            .take_while(|level| level.starts_with(&self.directory));
        for level in levels {
            sync(level)?;
        }
        let directory = self.settled(|settled| {
            if settled.len() >= SETTLED_MAX {
                settled.clear();
            }
            let directory = || Arc::new(SharedDirectory::new(parent.to_owned()));
            Arc::clone(settled.entry(parent.to_owned()).or_insert_with(directory))
        });
        Ok(directory)
    }

    fn settled<T>(&self, look: impl FnOnce(&mut HashMap<PathBuf, Arc<SharedDirectory>>) -> T) -> T {
        look(&mut self.settled.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Copies a file to a temporary name, durably.
fn copy(from: &Path, to: PathBuf) -> Result<TemporaryPath, SinkError> {
    let mut source = File::open(from).map_err(|error| SinkError::at("open", from, error))?;
    let mut copy = Partial::create(to)?;
    io::copy(&mut source, &mut copy).map_err(|error| SinkError::at("write to", copy.path(), error))?;
    copy.sync()?;
    Ok(copy.close())
}

#[cfg(test)]
mod tests;
