//! Removing what dead members left behind.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use distjob_core::{Holder, JobId, MemberName};

use crate::sink::SinkError;

/// The directory of files that are being written. No name of a result has a part that begins with a dot.
pub(crate) const PARTIAL: &str = ".partial";

/// Removes the files of all members that `is_dead` names from a directory. Files with other names are left alone.
pub(crate) fn sweep(directory: &Path, is_dead: impl Fn(&Holder) -> bool) -> Result<usize, SinkError> {
    let mut removed = 0;
    for path in list(directory)? {
        if owner(&path).is_some_and(|holder| is_dead(&holder)) {
            match fs::remove_file(&path) {
                Ok(()) => removed += 1,
                // Another watcher sweeps, too.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(SinkError::at("remove", &path, error)),
            }
        }
    }
    Ok(removed)
}

/// Who writes the file of that name, `<id>.<born>.<member>.<…>`.
fn owner(path: &Path) -> Option<Holder> {
    let mut parts = path.file_name()?.to_str()?.split('.');
    JobId::new(parts.next()?).ok()?;
    let born = parts.next()?.parse().ok()?;
    let name = MemberName::new(parts.next()?).ok()?;
    // Without a number behind it, it is not one of ours.
    parts.next()?.parse::<u64>().ok()?;
    Some(Holder { born, name })
}

/// What is in a directory; nothing when it is none or is missing.
fn list(directory: &Path) -> Result<Vec<PathBuf>, SinkError> {
    let failed = |error| SinkError::at("list the directory", directory, error);
    match fs::read_dir(directory) {
        Ok(entries) => entries
            .map(|entry| entry.map(|entry| entry.path()).map_err(failed))
            .collect(),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(Vec::new())
        }
        Err(error) => Err(failed(error)),
    }
}
