//! Ends what an executor leaves behind when it is killed.
//!
//! An executor that can no longer do anything cannot end its children either; under systemd the unit does that, elsewhere
//! nobody would. The keeper is this executable once more, and sleeps until the pipe to it closes. Then it kills the groups
//! that are in a table: memory that both share, where the executor writes the id of a group as soon as it knows it, and
//! erases it when the group is gone. That costs two short writes a process, and wakes nobody.
//!
//! ```text
//!  executor ──stdin (nothing is ever written)──► keeper
//!      └──────► table: u32 · u32 · u32 … ◄───────┘ stdout (reads it, once)
//! ```

use std::{
    fs::File,
    io::{self, PipeWriter, Read as _},
    os::unix::{fs::FileExt as _, process::CommandExt as _},
    process::{Child, Stdio},
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
};

use rustix::{
    fs::{MemfdFlags, memfd_create},
    process::{Pid, Signal, kill_process_group},
};

use crate::launcher;

/// The one of this process; none when it cannot be had.
static KEEPER: LazyLock<Option<Keeper>> = LazyLock::new(|| {
    if !launcher::is_ready() {
        return None;
    }
    let keeper = Keeper::start();
    if let Err(error) = &keeper {
        tracing::warn!(%error, "should this executor be killed, nobody ends the processes that it started");
    }
    keeper.ok()
});

/// A process that outlives this one for a moment.
#[derive(Debug)]
struct Keeper {
    table: File,
    places: Mutex<Places>,
    /// Closes with this process.
    _pipe: PipeWriter,
    _process: Child,
}

#[derive(Debug, Default)]
struct Places {
    free: Vec<u32>,
    used: u32,
}

impl Keeper {
    fn start() -> io::Result<Self> {
        let table = File::from(memfd_create(c"distjob-groups", MemfdFlags::CLOEXEC)?);
        let (reader, writer) = io::pipe()?;
        let process = launcher::keeper()
            .stdin(reader)
            .stdout(table.try_clone()?)
            .stderr(Stdio::null())
            .env_clear()
            .process_group(0)
            .spawn()?;
        Ok(Self {
            table,
            places: Mutex::default(),
            _pipe: writer,
            _process: process,
        })
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, place: u32, group: u32) {
        // Memory that is there can be written.
        let _ = self
            .table
            .write_all_at(&group.to_le_bytes(), u64::from(place) * 4);
    }
}

/// Makes sure that there is a keeper before there is something to keep.
pub(super) fn prepare() {
    LazyLock::force(&KEEPER);
}

/// The place of a group in the table, while there is the group.
#[derive(Debug)]
pub(super) struct Kept {
    place: u32,
}

impl Kept {
    /// Writes a group down. None without a keeper.
    pub(super) fn new(group: u32) -> Option<Self> {
        let keeper = KEEPER.as_ref()?;
        let place = {
            let mut places = keeper.places();
            places.free.pop().unwrap_or_else(|| {
                places.used += 1;
                places.used - 1
            })
        };
        keeper.write(place, group);
        Some(Self { place })
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(keeper) = KEEPER.as_ref() {
            keeper.write(self.place, 0);
            keeper.places().free.push(self.place);
        }
    }
}

/// What the keeper does: waits for the end of the executor, and kills what it left.
pub(crate) fn keep() {
    // Nothing comes but the end.
    let _ = io::stdin().read(&mut [0]);
    for place in 0.. {
        let mut group = [0; 4];
        let read = rustix::io::pread(io::stdout(), &mut group, place * 4);
        if !matches!(read, Ok(4)) {
            return;
        }
        let group = i32::try_from(u32::from_le_bytes(group))
            .ok()
            .and_then(Pid::from_raw);
        if let Some(group) = group {
            // It may have ended by itself meanwhile.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}
