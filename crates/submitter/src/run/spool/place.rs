//! What stands where in the spool directory.
//!
//! ```text
//! <directory>/<file>                for [submitter] queue
//! <directory>/<queue>/<file>        for that queue
//! <directory>/.work/lock            held by the one service that looks after the directory
//! <directory>/.work/<claim>/        a file in hand: plan.json, jobs, file/<its name>
//! <directory>/done/[<queue>/]…      submitted, as it came
//! <directory>/rejected/[<queue>/]…  not submitted; beside it <name>.reason
//! ```
//!
//! Names are bytes: whatever a file may be called, it keeps its name. One that begins with a dot is nobody's business.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::{self, Write as _},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use distjob_core::QueueName;
use distjob_runtime::chance;

/// The longest name that file systems take, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// Names in the directory that are no queues.
pub(super) const RESERVED: [&str; 2] = ["done", "rejected"];

/// Held from the look for a free name to its use. Nobody but the one service that looks after the directory takes any.
static NAMING: Mutex<()> = Mutex::new(());

/// The ending of the file that says why another was rejected.
const REASON: &str = ".reason";

/// A file that somebody put into the directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Found {
    /// The subdirectory in which it was found.
    pub(super) queue: Option<QueueName>,
    /// Its name.
    pub(super) name: OsString,
}

/// The spool directory.
#[derive(Clone, Debug)]
pub(super) struct Place {
    root: PathBuf,
}

impl Place {
    /// Makes sure that the directories are there.
    ///
    /// # Errors
    /// When one cannot be made.
    pub(super) fn make(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        let place = Self {
            root: root.to_owned(),
        };
        fs::create_dir_all(place.work())?;
        for name in RESERVED {
            fs::create_dir_all(root.join(name))?;
        }
        Ok(place)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn work(&self) -> PathBuf {
        self.root.join(".work")
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.work().join("lock")
    }

    /// The directory of what is for `queue`, or names none.
    pub(super) fn directory(&self, queue: Option<&QueueName>) -> PathBuf {
        below(&self.root, queue)
    }

    /// Where a file was put.
    pub(super) fn path(&self, found: &Found) -> PathBuf {
        self.directory(found.queue.as_ref()).join(&found.name)
    }

    /// Moves a file that was submitted to those that are done.
    ///
    /// # Errors
    /// When that cannot be done.
    pub(super) fn keep(&self, file: &Path, found: &Found) -> io::Result<()> {
        let directory = below(&self.root.join("done"), found.queue.as_ref());
        fs::create_dir_all(&directory)?;
        // Two files of one name may come to their ends at once, and a rename asks nobody.
        let _naming = NAMING.lock().unwrap_or_else(PoisonError::into_inner);
        fs::rename(file, directory.join(free_name(&directory, &found.name, "")))
    }

    /// Moves a file that is not submitted to those that are rejected, with the reason beside it. Who sees the file sees
    /// the reason.
    ///
    /// # Errors
    /// When that cannot be done; [`io::ErrorKind::NotFound`] when the file is not there any more.
    pub(super) fn reject(&self, file: &Path, found: &Found, reason: &str) -> io::Result<PathBuf> {
        let directory = below(&self.root.join("rejected"), found.queue.as_ref());
        fs::create_dir_all(&directory)?;
        let _naming = NAMING.lock().unwrap_or_else(PoisonError::into_inner);
        let name = free_name(&directory, &found.name, REASON);
        let mut reason_name = name.clone();
        reason_name.push(REASON);
        let (target, beside) = (directory.join(name), directory.join(reason_name));
        let mut writing = File::create_new(&beside)?;
        writing.write_all(reason.as_bytes())?;
        writing.write_all(b"\n")?;
        fs::rename(file, &target).inspect_err(|_| {
            // Alone it would tell of nothing.
            let _ = fs::remove_file(&beside);
        })?;
        Ok(target)
    }
}

fn below(root: &Path, queue: Option<&QueueName>) -> PathBuf {
    queue.map_or_else(|| root.to_owned(), |queue| root.join(queue.as_str()))
}

/// `name`, or one made of it, that nothing in the directory has, with or without the ending that is to follow.
fn free_name(directory: &Path, name: &OsStr, ending: &str) -> OsString {
    let is_free = |name: &OsStr| {
        let mut ended = name.to_owned();
        ended.push(ending);
        // A link that leads nowhere has the name too.
        ended.len() <= NAME_BYTES_MAX
            && [name, &ended]
                .iter()
                .all(|name| fs::symlink_metadata(directory.join(name)).is_err())
    };
    if is_free(name) {
        return name.to_owned();
    }
    let mark = format!("~{}", chance::hex(12));
    let room = NAME_BYTES_MAX - mark.len() - ending.len();
    let bytes = name.as_bytes();
    let mut made = bytes[..bytes.len().min(room)].to_vec();
    made.extend_from_slice(mark.as_bytes());
    OsString::from_vec(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &[u8]) -> Found {
        Found {
            queue: None,
            name: OsStr::from_bytes(name).to_owned(),
        }
    }

    fn names(directory: &Path) -> Vec<Vec<u8>> {
        let mut names: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_vec())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn nothing_that_is_done_or_rejected_is_ever_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let place = Place::make(directory.path()).unwrap();
        for content in ["1", "2"] {
            let file = directory.path().join("a");
            fs::write(&file, content).unwrap();
            place.keep(&file, &found(b"a")).unwrap();
            fs::write(&file, content).unwrap();
            place.reject(&file, &found(b"a"), "bad").unwrap();
        }
        let done = names(&directory.path().join("done"));
        assert_eq!((done.len(), &done[0][..]), (2, &b"a"[..]));
        assert!(done[1].starts_with(b"a~"));
        let rejected = names(&directory.path().join("rejected"));
        assert_eq!(rejected[..2], [b"a".to_vec(), b"a.reason".to_vec()]);
        assert_eq!([&rejected[2][..], b".reason"].concat(), rejected[3]);
    }

    #[test]
    fn of_files_of_one_name_that_are_done_at_once_each_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let place = Place::make(directory.path()).unwrap();
        let (threads, rounds) = (8, 200);
        let start = std::sync::Barrier::new(threads);
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let (place, start) = (&place, &start);
                scope.spawn(move || {
                    for round in 0..rounds {
                        let file = place.work().join(thread.to_string());
                        fs::write(&file, "1").unwrap();
                        start.wait();
                        place.keep(&file, &found(format!("a{round}").as_bytes())).unwrap();
                    }
                });
            }
        });
        assert_eq!(names(&directory.path().join("done")).len(), threads * rounds);
    }

    #[test]
    fn a_file_whose_name_leaves_no_room_for_the_ending_gets_a_shorter_one() {
        let directory = tempfile::tempdir().unwrap();
        let place = Place::make(directory.path()).unwrap();
        let name = [b"\n\xff".repeat(127), b"x".to_vec()].concat();
        let file = directory.path().join(OsStr::from_bytes(&name));
        fs::write(&file, "1").unwrap();
        place.reject(&file, &found(&name), "bad").unwrap();
        let rejected = names(&directory.path().join("rejected"));
        assert_eq!(rejected.len(), 2);
        assert!(rejected[0].starts_with(&name[..200]) && rejected[0].len() < 255);
        assert_eq!([&rejected[0][..], b".reason"].concat(), rejected[1]);
    }

    #[test]
    fn a_file_that_is_gone_leaves_no_reason_behind() {
        let directory = tempfile::tempdir().unwrap();
        let place = Place::make(directory.path()).unwrap();
        let error = place
            .reject(&directory.path().join("gone"), &found(b"gone"), "bad")
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert_eq!(names(&directory.path().join("rejected")), [b""; 0]);
    }
}
