//! Hears of files that come, from the kernel.
//!
//! What is heard is a hint: nothing is lost when a notification is, for the directory is looked through now and then all
//! the same. Only directories that were looked at are watched, so whatever came before is found by the look.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    future::pending,
    io,
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
};

use distjob_core::QueueName;
use rustix::{
    fs::inotify::{CreateFlags, Event, ReadFlags, Reader, WatchFlags, add_watch, init},
    io::Errno,
};
use tokio::io::{Interest, unix::AsyncFd};
use tracing::warn;

use super::place::{Found, Place};

/// What is asked for of each directory.
const WANTED: WatchFlags = WatchFlags::CLOSE_WRITE
    .union(WatchFlags::CREATE)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR);

/// Most notifications that are taken at once.
const NOTES_MAX: usize = 1000;

/// Bytes of them: some dozens of the longest.
const BUFFER_BYTES: usize = 16 << 10;

/// What was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Note {
    /// A file is whole: it was moved in, or whoever wrote it has closed it.
    Whole(Found),
    /// A file was created here, and is probably being written.
    Begun(Found),
    /// It is not here any more.
    Gone(Found),
    /// Directories came or went, or something was missed: look yourself.
    Look,
}

/// The kernel's notifications about some directories.
#[derive(Debug)]
pub(super) struct Watch {
    notes: Option<AsyncFd<OwnedFd>>,
    directories: BTreeMap<i32, Option<QueueName>>,
}

impl Watch {
    /// Watches nothing yet. Without the kernel's help it never hears anything, which is said once.
    pub(super) fn new() -> Self {
        let notes = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)
            .map_err(io::Error::from)
            .and_then(readable);
        if let Err(error) = &notes {
            warn!(%error, "files are found only by looking for them: inotify cannot be used");
        }
        Self {
            notes: notes.ok(),
            directories: BTreeMap::new(),
        }
    }

    /// Watches the directory of a queue, or of none, if it does not yet. To be followed by a look into it.
    pub(super) fn add(&mut self, place: &Place, queue: Option<&QueueName>) {
        let Some(notes) = &self.notes else { return };
        match add_watch(notes.get_ref(), place.directory(queue), WANTED) {
            Ok(number) => drop(self.directories.insert(number, queue.cloned())),
            // It has gone since it was seen.
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(error) => {
                let directory = place.directory(queue);
                warn!(directory = %directory.display(), %error, "files are found here only by looking for them");
            }
        }
    }

    /// How many directories are watched.
    pub(super) fn len(&self) -> usize {
        self.directories.len()
    }

    /// Waits for the next notes. Cancel safe.
    pub(super) async fn next(&mut self) -> Vec<Note> {
        let Some(notes) = &self.notes else {
            return pending().await;
        };
        loop {
            let Ok(mut ready) = notes.readable().await else {
                return pending().await;
            };
            match ready.try_io(|fd| read(fd.get_ref(), &mut self.directories)) {
                Ok(Ok(read)) => return read,
                Ok(Err(error)) => {
                    warn!(%error, "failed to read notifications");
                    return vec![Note::Look];
                }
                // It was ready no more.
                Err(_) => {}
            }
        }
    }
}

#[expect(
    deprecated,
    reason = "its successor is unsafe, for types that may show another descriptor later; an OwnedFd does not"
)]
fn readable(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd, Interest::READABLE)
}

/// Takes what there is.
fn read(fd: &OwnedFd, directories: &mut BTreeMap<i32, Option<QueueName>>) -> io::Result<Vec<Note>> {
    let mut buffer = [MaybeUninit::uninit(); BUFFER_BYTES];
    let mut reader = Reader::new(fd, &mut buffer);
    let mut notes = Vec::new();
    // What was read must be taken: the kernel gives it once.
    while notes.len() < NOTES_MAX || !reader.is_buffer_empty() {
        match reader.next() {
            Ok(event) => notes.extend(note(&event, directories)),
            Err(Errno::WOULDBLOCK) if !notes.is_empty() => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(notes)
}

/// What an event says, if anything.
fn note(event: &Event<'_>, directories: &mut BTreeMap<i32, Option<QueueName>>) -> Option<Note> {
    let kind = event.events();
    if kind.contains(ReadFlags::IGNORED) {
        directories.remove(&event.wd());
        return Some(Note::Look);
    }
    let is_of_directory =
        ReadFlags::QUEUE_OVERFLOW | ReadFlags::ISDIR | ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF;
    if kind.intersects(is_of_directory) {
        return Some(Note::Look);
    }
    let name = OsStr::from_bytes(event.file_name()?.to_bytes());
    if name.as_bytes().starts_with(b".") {
        return None;
    }
    let found = Found {
        queue: directories.get(&event.wd())?.clone(),
        name: name.to_owned(),
    };
    if kind.intersects(ReadFlags::CLOSE_WRITE | ReadFlags::MOVED_TO) {
        Some(Note::Whole(found))
    } else if kind.contains(ReadFlags::CREATE) {
        Some(Note::Begun(found))
    } else {
        Some(Note::Gone(found))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn a_file_is_whole_when_it_was_moved_in_or_closed() {
        let directory = tempfile::tempdir().unwrap();
        let place = Place::make(directory.path()).unwrap();
        let queue = QueueName::new("mails").unwrap();
        fs::create_dir(place.directory(Some(&queue))).unwrap();
        let mut watch = Watch::new();
        watch.add(&place, None);
        watch.add(&place, Some(&queue));

        fs::write(directory.path().join(".part"), "1").unwrap();
        fs::rename(directory.path().join(".part"), directory.path().join("mails/a")).unwrap();
        fs::write(directory.path().join("b"), "1").unwrap();
        fs::remove_file(directory.path().join("b")).unwrap();
        fs::create_dir(directory.path().join("news")).unwrap();
        let found = |queue: Option<&QueueName>, name: &str| Found {
            queue: queue.cloned(),
            name: name.into(),
        };
        let b = || found(None, "b");
        let expected = [
            Note::Whole(found(Some(&queue), "a")),
            Note::Begun(b()),
            Note::Whole(b()),
            Note::Gone(b()),
            Note::Look,
        ];
        let mut heard = Vec::new();
        while heard.len() < expected.len() {
            heard.extend(watch.next().await);
        }
        assert_eq!(heard, expected);
    }

    #[tokio::test]
    async fn a_directory_that_goes_is_told_of_and_can_be_watched_again() {
        let directory = tempfile::tempdir().unwrap();
        let place = Place::make(directory.path()).unwrap();
        let queue = QueueName::new("mails").unwrap();
        let mut watch = Watch::new();
        for _ in 0..2 {
            fs::create_dir(place.directory(Some(&queue))).unwrap();
            watch.add(&place, Some(&queue));
            fs::remove_dir(place.directory(Some(&queue))).unwrap();
            assert!(watch.next().await.contains(&Note::Look));
        }
    }
}
