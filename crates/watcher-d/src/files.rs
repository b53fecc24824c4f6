//! Files that are seen whole or not at all.
//!
//! Spool and directory sinks write under temporary names in a directory `.partial`: `<id>.<born>.<member>.<…>`. The name
//! carries the member as leases carry it, with its birth, so that the proof of death that goes for leases goes for
//! leftovers, too ([`sweep()`]).

mod directory;
mod partial;
mod sweep;

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use distjob_runtime::threads::BLOCKING_MAX;
use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::{config::LOCKS_MAX, sink::SinkError};

pub(crate) use self::{
    directory::SharedDirectory,
    partial::{Partial, Renamed, TemporaryPath},
    sweep::{PARTIAL, sweep},
};

/// Creates what is missing of a path, each directory synced into its parent.
pub(crate) fn make_directories(path: &Path) -> Result<(), SinkError> {
    let missing: Vec<&Path> = path.ancestors().take_while(|level| !level.is_dir()).collect();
    for level in missing
        .into_iter()
        .rev()
        .filter(|level| !level.as_os_str().is_empty())
    {
        match fs::create_dir(level) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && level.is_dir() => {}
            Err(error) => return Err(SinkError::at("create the directory", level, error)),
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
pub(crate) fn sync(directory: &Path) -> Result<(), SinkError> {
    File::open(directory)
        .and_then(|opened| opened.sync_all())
        .map_err(|error| SinkError::at("sync the directory", directory, error))
}

/// Most pieces of file I/O that may block at the same time: two for each job that can be in hand.
const AT_ONCE: usize = 2 * LOCKS_MAX;

/// The writers of pipelines and the readers of lists are bounded by the pipelines; and something is left for everybody else.
const _: () = assert!(AT_ONCE + 2 * LOCKS_MAX <= BLOCKING_MAX / 2);

/// Each piece has its part of this until it has ended, also when nobody waits for it any more: a directory that hangs would
/// otherwise keep as many threads for each session that ends meanwhile.
static ROOM: Semaphore = Semaphore::const_new(AT_ONCE);

/// Runs file I/O where it may block, as soon as there is room. Dropping the future does not stop what has begun.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    // Nobody closes it.
    let room = ROOM.acquire().await;
    let work = move || {
        let _room = room;
        work()
    };
    match spawn_blocking(work).await {
        Ok(output) => output,
        Err(failure) => std::panic::resume_unwind(failure.into_panic()),
    }
}

/// Removes a file that is of no use any more, if it is there. A failure is logged: who proves our death tries again.
pub(crate) fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "failed to remove a temporary file");
        }
        _ => {}
    }
}
