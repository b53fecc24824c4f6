//! Files under temporary names.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::PathBuf,
};

use super::{SinkError, sync};

/// Where a file is to be, and where it is written before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) target: PathBuf,
    pub(super) partial: PathBuf,
}

/// A file that must not stay under its temporary name. Dropping it removes it; after it was renamed there is nothing to
/// remove.
#[derive(Debug)]
pub(super) struct Partial {
    place: Place,
    file: File,
}

impl Partial {
    /// An empty file, in place of one that stands there.
    pub(super) fn create(place: Place) -> Result<Self, SinkError> {
        let file =
            File::create(&place.partial).map_err(|error| SinkError::new("create", &place.partial, error))?;
        Ok(Self { place, file })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        self.file
            .write_all(bytes)
            .map_err(|error| SinkError::new("write to", &self.place.partial, error))
    }

    /// Brings what was written to the disk.
    pub(super) fn sync(&self) -> Result<(), SinkError> {
        self.file
            .sync_all()
            .map_err(|error| SinkError::new("sync", &self.place.partial, error))
    }

    /// Gives the file its name; it is on the disk when [`Renamed::settle`] has succeeded.
    pub(super) fn rename(self) -> Result<Renamed, SinkError> {
        let Place { target, partial } = &self.place;
        fs::rename(partial, target)
            .map_err(|error| SinkError::new("rename a partial file to", target, error))?;
        Ok(Renamed(target.clone()))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        match fs::remove_file(&self.place.partial) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %self.place.partial.display(), %error, "failed to remove a partial file");
            }
            _ => {}
        }
    }
}

/// A file that has its name.
#[must_use = "the name may not be on the disk yet"]
pub(super) struct Renamed(PathBuf);

impl Renamed {
    /// Brings the name to the disk.
    pub(super) fn settle(self) -> Result<(), SinkError> {
        self.0.parent().map_or(Ok(()), sync)
    }
}
