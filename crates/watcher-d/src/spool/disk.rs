//! The spool in a directory.
//!
//! ```text
//! <directory>/<id>.<born>.<member>.<number>              being written, or waiting until every sink has it
//!             <id>.<born>.<member>.<number>.<n>.manifest what it is, for a sink that wants that in a file
//! ```

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use distjob_core::{Holder, Roster};
use futures::future::BoxFuture;

use super::{Collected, Collecting, Recipe, Spool, writing::WritingFile};
use crate::{
    files::{blocking, make_directories, sweep},
    sink::SinkError,
};

/// Numbers the results of this process, so that no two have one name: one may still be read when the next is written.
static NUMBER: AtomicU64 = AtomicU64::new(1);

/// The spool of one member. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct DiskSpool {
    directory: Arc<Path>,
    holder: Holder,
}

impl DiskSpool {
    /// The spool of member `holder` in `directory`, which is created when it is first needed.
    pub(crate) fn new(directory: &Path, holder: Holder) -> Self {
        Self {
            directory: directory.into(),
            holder,
        }
    }

    /// Makes sure of the directory, and names a new file in it.
    pub(super) fn place(&self, recipe: &Recipe) -> Result<PathBuf, SinkError> {
        if !self.directory.is_dir() {
            make_directories(&self.directory)?;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Ok(self
            .directory
            .join(format!("{}.{}.{number}", recipe.id, self.holder)))
    }
}

impl Spool for DiskSpool {
    fn collect(&self, recipe: Recipe) -> Box<dyn Collecting> {
        Box::new(WritingFile::new(self.clone(), recipe))
    }

    fn has(&self, collected: &Collected) -> BoxFuture<'static, bool> {
        let (path, bytes) = (collected.path.clone(), collected.tally.bytes);
        Box::pin(blocking(move || {
            fs::metadata(&path).is_ok_and(|found| found.len() == bytes)
        }))
    }

    fn sweep(&self, roster: Arc<Roster>) -> BoxFuture<'static, Result<usize, SinkError>> {
        let directory = Arc::clone(&self.directory);
        Box::pin(blocking(move || {
            sweep(&directory, |holder| roster.proves_dead(holder))
        }))
    }
}
