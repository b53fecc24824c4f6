//! A cgroup for each process, where this executor may make cgroups: version 2, delegated to it (systemd: `Delegate=yes`).
//!
//! ```text
//!  <the executor's cgroup>      controls memory for what is below; has no process itself, as the kernel demands
//!   ├── distjob-<pid>           the executor, which moves here
//!   ├── distjob-<pid>-1         a process, and whatever it starts, also what leaves its process group
//!   └── distjob-<pid>-2
//! ```

use std::{
    fs, io,
    path::{Path, PathBuf},
    process,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{runtime::Handle, time::sleep};

/// What the names of our cgroups begin with.
const NAME: &str = "distjob-";

/// How often, and with what pauses, a cgroup is removed whose processes were killed and are not gone.
const REMOVALS: u32 = 100;
const BETWEEN_REMOVALS: Duration = Duration::from_millis(20);

/// Where this process may make cgroups; prepared when the first is wanted.
static HIERARCHY: LazyLock<Option<Hierarchy>> = LazyLock::new(|| {
    let hierarchy = own_cgroup().and_then(|own| Hierarchy::prepare(&own));
    if let Err(error) = &hierarchy {
        tracing::warn!(%error, "no cgroups can be made here, so bounds.cgroup has no effect: other limits hold without");
    }
    hierarchy.ok()
});

/// A cgroup below which others can be made.
#[derive(Debug)]
struct Hierarchy {
    own: PathBuf,
    bounds_memory: bool,
    made: AtomicU64,
}

impl Hierarchy {
    /// Moves this process out of the way and takes control of memory, if that is possible.
    fn prepare(own: &Path) -> io::Result<Self> {
        sweep(own);
        let seat = own.join(format!("{NAME}{}", process::id()));
        make(&seat)?;
        fs::write(seat.join("cgroup.procs"), process::id().to_string())?;
        let control = fs::write(own.join("cgroup.subtree_control"), "+memory");
        if let Err(error) = &control {
            tracing::warn!(%error, "memory cannot be bounded by cgroup here, only by address space");
        }
        Ok(Self {
            own: own.to_owned(),
            bounds_memory: control.is_ok(),
            made: AtomicU64::new(0),
        })
    }

    fn leaf(&self, memory_max: Option<u64>) -> io::Result<Leaf> {
        let number = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        let leaf = Leaf {
            directory: self.own.join(format!("{NAME}{}-{number}", process::id())),
        };
        make(&leaf.directory)?;
        if let Some(bytes) = memory_max.filter(|_| self.bounds_memory) {
            leaf.write("memory.max", &bytes.to_string())?;
            // What is not there, or not counted, need not be bounded.
            let _ = leaf.write("memory.swap.max", "0");
            let _ = leaf.write("memory.oom.group", "1");
        }
        Ok(leaf)
    }
}

/// The cgroup of one process. Removed when dropped, with all that is in it.
#[derive(Debug)]
pub(super) struct Leaf {
    directory: PathBuf,
}

impl Leaf {
    /// One in which so much memory may be used; none where none can be made.
    ///
    /// # Errors
    /// When it cannot be made though others could.
    pub(super) fn make(memory_max: Option<u64>) -> io::Result<Option<Self>> {
        HIERARCHY
            .as_ref()
            .map(|hierarchy| hierarchy.leaf(memory_max))
            .transpose()
    }

    /// The directory that stands for it.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Kills all that is in it.
    pub(super) fn kill(&self) {
        // Nothing being there is what we want.
        let _ = self.write("cgroup.kill", "1");
    }

    /// Whether something in it was killed because it used too much memory.
    pub(super) fn is_out_of_memory(&self) -> bool {
        let events = fs::read_to_string(self.directory.join("memory.events"));
        events.is_ok_and(|events| has_oom_kill(&events))
    }

    fn write(&self, file: &str, value: &str) -> io::Result<()> {
        fs::write(self.directory.join(file), value)
    }
}

impl Drop for Leaf {
    fn drop(&mut self) {
        self.kill();
        if fs::remove_dir(&self.directory).is_ok() {
            return;
        }
        // What was killed is not gone at once. What stays is swept when an executor starts.
        if let Ok(runtime) = Handle::try_current() {
            let directory = std::mem::take(&mut self.directory);
            runtime.spawn(async move {
                for _ in 0..REMOVALS {
                    sleep(BETWEEN_REMOVALS).await;
                    match fs::remove_dir(&directory) {
                        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
                        _ => return,
                    }
                }
            });
        }
    }
}

/// The directory of the cgroup that this process is in.
fn own_cgroup() -> io::Result<PathBuf> {
    let missing = || {
        io::Error::new(
            io::ErrorKind::NotFound,
            "this process is in no cgroup of version 2",
        )
    };
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let cgroups = fs::read_to_string("/proc/self/cgroup")?;
    let mount = mount_point(&mounts).ok_or_else(missing)?;
    let own = cgroups
        .lines()
        .find_map(|line| line.strip_prefix("0::/"))
        .ok_or_else(missing)?;
    Ok(mount.join(own))
}

/// Where the hierarchy is mounted, of the lines of `/proc/self/mountinfo`.
fn mount_point(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        let is_ours = kind.split(' ').next() == Some("cgroup2");
        is_ours
            .then(|| place.split(' ').nth(4).map(PathBuf::from))
            .flatten()
    })
}

fn has_oom_kill(events: &str) -> bool {
    let count = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
    count.is_some_and(|count| count.trim() != "0")
}

/// Removes what executors before this one left. What is in use stays: the kernel does not remove it.
fn sweep(own: &Path) {
    let entries = fs::read_dir(own).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(NAME)) {
        let _ = fs::remove_dir(entry.path());
    }
}

fn make(directory: &Path) -> io::Result<()> {
    match fs::create_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_the_hierarchy_is_found_among_the_mounts() {
        let mounts = "24 1 0:22 / /proc rw - proc proc rw\n\
                      31 24 0:27 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n\
                      32 24 0:28 / /sys/fs/cgroup/unified rw,relatime shared:10 master:2 - cgroup2 cgroup2 rw\n";
        assert_eq!(mount_point(mounts), Some("/sys/fs/cgroup/unified".into()));
        assert_eq!(mount_point("24 1 0:22 / /proc rw - proc proc rw\n"), None);
    }

    #[test]
    fn a_kill_for_memory_is_told_by_the_events() {
        assert!(!has_oom_kill("low 0\nhigh 0\nmax 7\noom 0\noom_kill 0\n"));
        assert!(has_oom_kill(
            "low 0\nmax 7\noom 1\noom_kill 1\noom_group_kill 0\n"
        ));
    }

    /// A directory that stands for a cgroup: what would be written to the kernel can be read there.
    #[test]
    fn a_process_gets_a_cgroup_with_its_bounds() {
        let own = tempfile::tempdir().unwrap();
        let stale = own.path().join("distjob-1-2");
        fs::create_dir(&stale).unwrap();
        let hierarchy = Hierarchy::prepare(own.path()).unwrap();
        assert!(!stale.exists());
        let read = |path: PathBuf| fs::read_to_string(path).unwrap();
        let pid = process::id();
        assert_eq!(read(own.path().join("cgroup.subtree_control")), "+memory");
        assert_eq!(
            read(own.path().join(format!("distjob-{pid}/cgroup.procs"))),
            pid.to_string()
        );

        let leaf = hierarchy.leaf(Some(1 << 20)).unwrap();
        let directory = leaf.directory().to_owned();
        assert_eq!(directory, own.path().join(format!("distjob-{pid}-1")));
        assert_eq!(read(directory.join("memory.max")), "1048576");
        drop(leaf);
        assert_eq!(read(directory.join("cgroup.kill")), "1");

        let free = hierarchy.leaf(None).unwrap();
        assert!(!free.directory().join("memory.max").exists());
        let directory = free.directory().to_owned();
        fs::write(directory.join("memory.events"), "oom_kill 2\n").unwrap();
        assert!(free.is_out_of_memory());
    }
}
