//! When results come: the files of a directory, told by the kernel.

use std::{
    collections::VecDeque,
    ffi::OsStr,
    fs, io,
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::{
    fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init},
    io::Errno,
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    time::timeout,
};

/// Bytes of notifications that are taken at once: some hundreds.
const BUFFER_BYTES: usize = 16 << 10;

/// What every result is called in the end, unless it is packed.
const RESULT: &str = ".jsonl";

/// Hears of every result that gets its name in a directory from the moment at which this was made. Nothing is polled.
#[derive(Debug)]
pub(crate) struct Arrivals {
    notes: AsyncFd<OwnedFd>,
    heard: VecDeque<(String, Instant)>,
}

impl Arrivals {
    /// Begins to listen; the directory is made when it is missing.
    pub(crate) fn listen(directory: &Path) -> Result<Self> {
        fs::create_dir_all(directory).with_context(|| format!("create {}", directory.display()))?;
        let notes = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).context("use inotify")?;
        add_watch(&notes, directory, WatchFlags::MOVED_TO | WatchFlags::ONLYDIR)
            .with_context(|| format!("watch {}", directory.display()))?;
        Ok(Self {
            notes: readable(notes).context("wait for inotify")?,
            heard: VecDeque::new(),
        })
    }

    /// The next result: its job, and when it got its name. An error when notifications were lost. Cancellation safe.
    pub(crate) async fn next(&mut self) -> Result<(String, Instant)> {
        loop {
            if let Some(heard) = self.heard.pop_front() {
                return Ok(heard);
            }
            let mut ready = self.notes.readable().await?;
            let now = Instant::now();
            if let Ok(read) = ready.try_io(|fd| read(fd.get_ref())) {
                self.heard.extend(read?.into_iter().map(|id| (id, now)));
            }
        }
    }

    /// Returns when `count` more results are there, and when the last of them came.
    pub(crate) async fn last_of(&mut self, count: usize, limit: Duration) -> Result<Instant> {
        ensure!(count > 0, "no results to wait for");
        let mut arrived = 0;
        let all = async {
            loop {
                let (_, at) = self.next().await?;
                arrived += 1;
                if arrived == count {
                    return anyhow::Ok(at);
                }
            }
        };
        match timeout(limit, all).await {
            Ok(last) => last,
            Err(_) => bail!("{arrived} of {count} results are there after {limit:?}"),
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

/// Takes the jobs whose results came.
fn read(fd: &OwnedFd) -> io::Result<Vec<String>> {
    let mut buffer = [MaybeUninit::uninit(); BUFFER_BYTES];
    let mut reader = Reader::new(fd, &mut buffer);
    let mut jobs = Vec::new();
    loop {
        match reader.next() {
            Ok(event) if event.events().contains(ReadFlags::QUEUE_OVERFLOW) => {
                return Err(io::Error::other("notifications of results were lost"));
            }
            Ok(event) => {
                let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
                let name = name.unwrap_or_default().to_string_lossy();
                jobs.extend(name.strip_suffix(RESULT).map(str::to_owned));
            }
            Err(Errno::WOULDBLOCK) if !jobs.is_empty() => return Ok(jobs),
            Err(error) => return Err(error.into()),
        }
    }
}
