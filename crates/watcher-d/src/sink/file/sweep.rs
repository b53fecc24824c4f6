//! Removing what dead members left behind.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use distjob_core::{Holder, JobId};

use super::SinkError;

/// The directory of files that are being written, in that of each queue. No queue and no job has a dot in its name.
pub(super) const PARTIAL: &str = ".partial";

/// What the name of a manifest that is being written ends with.
pub(super) const MANIFEST: &str = ".manifest";

/// Removes the partial files of all members that `is_dead` names. Files with other names are left alone.
pub(super) fn sweep(directory: &Path, is_dead: impl Fn(&Holder) -> bool) -> Result<usize, SinkError> {
    let mut removed = 0;
    for queue in list(directory)? {
        for path in list(&queue.join(PARTIAL))? {
            if owner(&path).is_some_and(|holder| is_dead(&holder)) {
                match fs::remove_file(&path) {
                    Ok(()) => removed += 1,
                    // Another watcher sweeps, too.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(SinkError::new("remove", &path, error)),
                }
            }
        }
    }
    Ok(removed)
}

/// Who writes the partial file of that name, `<id>.<holder>` or `<id>.<holder>.manifest`.
fn owner(path: &Path) -> Option<Holder> {
    let name = path.file_name()?.to_str()?;
    let (id, holder) = name.strip_suffix(MANIFEST).unwrap_or(name).split_once('.')?;
    JobId::new(id).ok()?;
    holder.parse().ok()
}

/// What is in a directory; nothing when it is none or is missing.
fn list(directory: &Path) -> Result<Vec<PathBuf>, SinkError> {
    let failed = |error| SinkError::new("list the directory", directory, error);
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
