//! Files under temporary names.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::{SharedDirectory, remove};
use crate::sink::SinkError;

/// A file that must not stay under its temporary name. Dropping it removes it; after it was renamed there is nothing to
/// remove.
#[derive(Debug)]
pub(crate) struct Partial {
    path: TemporaryPath,
    file: File,
}

/// The name of a file that goes with this.
#[derive(Debug)]
pub(crate) struct TemporaryPath(
    /// Empty when there is none any more.
    PathBuf,
);

impl Partial {
    /// An empty file, in place of one that stands there.
    pub(crate) fn create(path: PathBuf) -> Result<Self, SinkError> {
        // Never truncated: one that stands there may be another name of the very file that is to be copied.
        let create = || File::create_new(&path);
        let created = create().or_else(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => fs::remove_file(&path).and_then(|()| create()),
            _ => Err(error),
        });
        let file = created.map_err(|error| SinkError::at("create", &path, error))?;
        Ok(Self {
            path: TemporaryPath(path),
            file,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path.0
    }

    /// Brings what was written to the disk.
    pub(crate) fn sync(&self) -> Result<(), SinkError> {
        self.file
            .sync_all()
            .map_err(|error| SinkError::at("sync", self.path(), error))
    }

    /// Closes the file, which stays as long as what is returned.
    pub(crate) fn close(self) -> TemporaryPath {
        self.path
    }
}

impl Write for Partial {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl TemporaryPath {
    /// Takes over a name that is to go with this.
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Gives the file its name; it is on the disk when [`Renamed::settle`] has succeeded.
    pub(crate) fn rename(mut self, target: &Path) -> Result<Renamed, SinkError> {
        let renamed = self.give(target)?;
        self.0.clear();
        Ok(renamed)
    }

    /// As [`rename`](Self::rename), where both names may be those of one file: then renaming does nothing, and what is left
    /// of the temporary name goes.
    pub(crate) fn rename_link(self, target: &Path) -> Result<Renamed, SinkError> {
        self.give(target)
    }

    fn give(&self, target: &Path) -> Result<Renamed, SinkError> {
        fs::rename(&self.0, target)
            .map_err(|error| SinkError::at("rename a partial file to", target, error))?;
        Ok(Renamed::new())
    }
}

impl Drop for TemporaryPath {
    fn drop(&mut self) {
        // Looking for a file in vain costs its directory's lock.
        if !self.0.as_os_str().is_empty() {
            remove(&self.0);
        }
    }
}

/// A file that has its name.
#[must_use = "the name may not be on the disk yet"]
#[derive(Debug)]
pub(crate) struct Renamed(());

impl Renamed {
    /// What was just renamed.
    pub(crate) const fn new() -> Self {
        Self(())
    }

    /// Brings the name to the disk, which is in `directory`.
    pub(crate) fn settle(self, directory: &SharedDirectory) -> Result<(), SinkError> {
        directory.sync()
    }
}
