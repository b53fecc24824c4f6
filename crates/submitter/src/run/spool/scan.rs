//! What lies in the spool directory.

use std::{
    collections::BTreeSet,
    fs::{self, DirEntry, Metadata},
    io,
    path::Path,
    time::{Duration, SystemTime},
};

use distjob_core::QueueName;

use super::place::{Found, Place, RESERVED};

/// Most files that one look gives; the rest waits for the next.
pub(super) const FILES_MAX: usize = 10_000;

/// A file that is known to be in its writer's hands is left to it for so many times as long as another.
const PATIENCE: u32 = 60;

/// A file from later than this was not changed just now.
const FUTURE_MAX: Duration = Duration::from_secs(3600);

/// What a look came to.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// The queues that have a directory.
    pub(super) queues: Vec<QueueName>,
    /// What may be taken.
    pub(super) files: Vec<Found>,
    /// Directories that are nobody's.
    pub(super) strangers: Vec<String>,
    /// Something was left: it may be taken soon, or was too much for one look.
    pub(super) is_more: bool,
}

/// What to make of the ages of files.
#[derive(Clone, Debug)]
pub(super) struct Patience {
    /// How long a file must have been left alone.
    pub(super) settle: Duration,
    /// Those that somebody has open for writing, as far as that is known.
    pub(super) in_writing: BTreeSet<Found>,
}

/// Looks through the directory and those of its queues. Blocks.
///
/// # Errors
/// When the directory itself cannot be read.
pub(super) fn look(place: &Place, patience: &Patience) -> io::Result<Looked> {
    let mut looked = Looked::default();
    for entry in fs::read_dir(place.root())? {
        let entry = entry?;
        let name = entry.file_name();
        let is_ours = name.as_encoded_bytes().starts_with(b".") || RESERVED.iter().any(|own| name == *own);
        if is_ours {
            continue;
        }
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            looked.add(None, &entry, patience);
            continue;
        }
        match name.to_str().map(QueueName::new) {
            Some(Ok(queue)) => {
                looked.look_into(&entry.path(), &queue, patience);
                looked.queues.push(queue);
            }
            _ => looked.strangers.push(name.to_string_lossy().into_owned()),
        }
    }
    // Whoever came first is served first, as far as names tell of that.
    looked.files.sort();
    Ok(looked)
}

impl Looked {
    fn look_into(&mut self, directory: &Path, queue: &QueueName, patience: &Patience) {
        let Ok(entries) = fs::read_dir(directory) else {
            // It has gone, or is not for us: the files in it wait.
            return;
        };
        for entry in entries.flatten() {
            let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            if is_hidden {
                continue;
            }
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let name = entry.file_name();
                self.strangers.push(format!("{queue}/{}", name.to_string_lossy()));
            } else {
                self.add(Some(queue), &entry, patience);
            }
        }
    }

    fn add(&mut self, queue: Option<&QueueName>, entry: &DirEntry, patience: &Patience) {
        if self.files.len() >= FILES_MAX {
            // Without a question about each of them: there may be millions.
            self.is_more = true;
            return;
        }
        let found = Found {
            queue: queue.cloned(),
            name: entry.file_name(),
        };
        let Ok(metadata) = entry.metadata() else { return };
        if patience.is_over(&found, &metadata) {
            self.files.push(found);
        } else {
            self.is_more = true;
        }
    }
}

impl Patience {
    fn is_over(&self, found: &Found, metadata: &Metadata) -> bool {
        if !metadata.is_file() {
            return true;
        }
        let wait = match self.in_writing.contains(found) {
            true => self.settle * PATIENCE,
            false => self.settle,
        };
        metadata
            .modified()
            .is_ok_and(|at| match SystemTime::now().duration_since(at) {
                Ok(age) => age >= wait,
                // The clock of a file server may be ahead, but not by this.
                Err(ahead) => ahead.duration() > FUTURE_MAX,
            })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn patience(settle: Duration) -> Patience {
        Patience {
            settle,
            in_writing: BTreeSet::new(),
        }
    }

    #[test]
    fn files_are_found_by_queue_and_what_is_nobodys_business_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let place = Place::make(directory.path()).unwrap();
        for name in ["mails", "done/x", "no queue", ".hidden"] {
            fs::create_dir_all(directory.path().join(name)).unwrap();
        }
        for name in [
            "b",
            "mails/a",
            "mails/.part",
            ".part",
            "rejected/r",
            "done/d",
            "no queue/n",
        ] {
            fs::write(directory.path().join(name), "").unwrap();
        }
        symlink("/etc/passwd", directory.path().join("link")).unwrap();
        let looked = look(&place, &patience(Duration::ZERO)).unwrap();
        let mails = QueueName::new("mails").unwrap();
        let found = |queue: Option<&QueueName>, name: &str| Found {
            queue: queue.cloned(),
            name: name.into(),
        };
        assert_eq!(
            looked.files,
            [found(None, "b"), found(None, "link"), found(Some(&mails), "a")]
        );
        assert_eq!((looked.queues, looked.is_more), (vec![mails], false));
        assert_eq!(looked.strangers, ["no queue"]);
    }

    #[test]
    fn a_file_that_was_just_changed_waits_and_an_older_one_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let place = Place::make(directory.path()).unwrap();
        let hour = Duration::from_secs(3600);
        let now = SystemTime::now();
        for (name, at) in [("future", now + hour * 2), ("new", now), ("old", now - hour * 2)] {
            let file = fs::File::create(directory.path().join(name)).unwrap();
            file.set_modified(at).unwrap();
        }
        let names = |patience: &Patience| -> Vec<_> {
            let looked = look(&place, patience).unwrap();
            assert!(looked.is_more);
            looked.files.into_iter().map(|found| found.name).collect()
        };
        let mut patience = patience(hour);
        assert_eq!(names(&patience), ["future", "old"]);
        patience.in_writing.insert(Found {
            queue: None,
            name: "old".into(),
        });
        assert_eq!(names(&patience), ["future"]);
    }
}
