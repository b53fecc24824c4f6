//! Where watchers deliver to: a small disk of the run's own, where it may mount one, that can be filled.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::io::Errno;

use crate::net::private::{inside, run};

/// Not in a queue's directory, and no name of a delivered file.
const FILLER: &str = "filler";

/// The directory of all delivered files, shared by all watchers as a network file system would be.
#[derive(Debug)]
pub struct Sink {
    disk: PathBuf,
    own: bool,
}

impl Sink {
    /// Makes the directory `disk`, as a file system of its own of `bytes` at most where that is possible. It then ends with
    /// the rig: [`Sink::keep`] what is to be looked at later.
    pub(super) fn open(disk: &Path, bytes: u64) -> Result<Sink> {
        fs::create_dir_all(disk).with_context(|| format!("create {}", disk.display()))?;
        if inside() {
            let mut mount = Command::new("mount");
            mount
                .args(["-t", "tmpfs", "-o"])
                .arg(format!("size={bytes},mode=755"))
                .arg("sink")
                .arg(disk);
            run(mount)?;
        }
        let sink = Sink {
            disk: disk.to_owned(),
            own: inside(),
        };
        fs::create_dir_all(sink.path()).context("create the sink")?;
        Ok(sink)
    }

    /// What watchers have as their `sink.directory`.
    pub fn path(&self) -> PathBuf {
        self.disk.join("delivered")
    }

    /// Whether [`Sink::fill`] works: it is a disk of its own.
    pub fn can_be_filled(&self) -> bool {
        self.own
    }

    /// Leaves no space on the disk.
    pub fn fill(&self) -> Result<()> {
        ensure!(self.own, "the sink is on a disk that is not the rig's to fill");
        let filler = File::create(self.disk.join(FILLER)).context("create a filler")?;
        let mut length = 0;
        // Others write meanwhile, and may give space back: until there is none.
        loop {
            let disk = statvfs(&self.disk).context("look at the sink's disk")?;
            let free = disk.f_bavail * disk.f_frsize;
            let more = free.max(disk.f_frsize);
            match fallocate(&filler, FallocateFlags::empty(), length, more) {
                Ok(()) => length += more,
                Err(Errno::NOSPC) if free == 0 => return Ok(()),
                Err(Errno::NOSPC) => {}
                Err(error) => bail!("fill the sink's disk: {error}"),
            }
        }
    }

    /// Gives the space back that [`Sink::fill`] took.
    pub fn empty(&self) -> Result<()> {
        match fs::remove_file(self.disk.join(FILLER)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).context("remove the filler")
            }
            _ => Ok(()),
        }
    }

    /// Copies all delivered files to the directory `to`, which is created.
    pub fn keep(&self, to: &Path) -> Result<()> {
        fs::create_dir_all(to).with_context(|| format!("create {}", to.display()))?;
        let mut copy = Command::new("cp");
        copy.arg("--archive").arg(self.path().join(".")).arg(to);
        run(copy).map(drop)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if self.own {
            // Lazy: a process that still runs may hold it. Without this nobody could remove the directory before the rig ends.
            let mut unmount = Command::new("umount");
            unmount.arg("--lazy").arg(&self.disk);
            let _ = run(unmount);
        }
    }
}
