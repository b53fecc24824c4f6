//! The step between an executor and a program that it starts with limits.
//!
//! Some limits only a process itself can set, between its start and the program that it becomes. Such a process is first
//! this executable once more, with [orders](Orders) as its arguments: it joins its cgroup, sets its limits, becomes
//! another user, and then the program. In the same way there is a keeper: a process that ends what an executor leaves
//! behind when it is killed. Whoever builds an executor of his own calls [`run_if_asked`] first of all in `main`.

use std::{
    env,
    ffi::{OsStr, OsString},
    fmt::Display,
    fs, io,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, exit},
    sync::atomic::{AtomicBool, Ordering},
};

use rustix::{
    process::{Gid, Resource, Rlimit, Uid, getrlimit, setrlimit},
    thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};
use serde::{Deserialize, Serialize};

use crate::handler::keep;

/// The argument that makes an executor a launcher.
const MARK: &str = "distjob-launch";

/// The argument that makes an executor the keeper of another one's processes.
const KEEP_MARK: &str = "distjob-keep";

/// Whether this process would notice if it were asked.
static IS_READY: AtomicBool = AtomicBool::new(false);

/// The executable of this process, even when its file was replaced since.
const MYSELF: &str = "/proc/self/exe";

/// The exit status of a launcher that failed; it comes with a line that nothing but a launcher can have written.
const FAILED: i32 = 125;

/// What a process does before it becomes the program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Orders {
    /// What its complaints begin with, so that no program can forge them.
    pub(crate) secret: String,
    /// Most bytes of address space.
    pub(crate) memory_max: Option<u64>,
    /// Most seconds of processor time.
    pub(crate) cpu_max_s: Option<u64>,
    /// Most open files.
    pub(crate) files_max: Option<u64>,
    /// Who to become.
    pub(crate) user: Option<Identity>,
    /// The cgroup to join: the directory that stands for it.
    pub(crate) cgroup: Option<PathBuf>,
}

/// A user, in the kernel's terms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// The user.
    pub(crate) uid: u32,
    /// Its group.
    pub(crate) gid: u32,
    /// All of its groups.
    pub(crate) groups: Vec<u32>,
}

impl Orders {
    /// Whether there is nothing to be done.
    pub(crate) fn is_empty(&self) -> bool {
        let Self {
            secret: _,
            memory_max,
            cpu_max_s,
            files_max,
            user,
            cgroup,
        } = self;
        let limits = [memory_max, cpu_max_s, files_max];
        limits.iter().all(|limit| limit.is_none()) && user.is_none() && cgroup.is_none()
    }
}

/// The command that becomes `program`, called `name`, by these orders. Its arguments are added to it.
pub(crate) fn command(orders: &Orders, program: &Path, name: &OsStr) -> Command {
    let orders = serde_json::to_string(orders).unwrap_or_default();
    let mut command = Command::new(MYSELF);
    command.args([OsStr::new(MARK), OsStr::new(&orders), program.as_os_str(), name]);
    command
}

/// Why the launcher failed, if it is that which ended with this status and these last words.
pub(crate) fn failure(orders: &Orders, status: ExitStatus, stderr: &[u8]) -> Option<String> {
    if orders.secret.is_empty() || status.code() != Some(FAILED) {
        return None;
    }
    let words = stderr.strip_prefix(orders.secret.as_bytes())?;
    Some(String::from_utf8_lossy(words).trim().to_owned())
}

/// What it means that a process with these orders died of a signal, if a limit explains it.
pub(crate) fn limit_reached(orders: &Orders, status: ExitStatus) -> Option<String> {
    const XCPU: i32 = rustix::process::Signal::XCPU.as_raw();
    match (status.signal()?, orders.cpu_max_s) {
        (XCPU, Some(seconds)) => Some(format!("used more than {seconds} s of processor time")),
        _ => None,
    }
}

/// Whether the program has called [`run_if_asked`]. One that has not would not become another one, but a second executor.
pub(crate) fn is_ready() -> bool {
    IS_READY.load(Ordering::Relaxed)
}

/// The command that ends what this process leaves behind.
pub(crate) fn keeper() -> Command {
    let mut command = Command::new(MYSELF);
    command.arg(KEEP_MARK);
    command
}

/// Makes this process the program that an executor wants started, if that is what it was started for; returns otherwise.
///
/// Must be the first thing that `main` does: before threads are started, and before arguments are read. An executor that
/// does not call it cannot limit its processes, and when it is killed they go on.
pub fn run_if_asked() {
    let mut args = env::args_os().skip(1);
    match args.next() {
        Some(mark) if mark == MARK => {}
        Some(mark) if mark == KEEP_MARK => {
            keep();
            exit(0);
        }
        _ => return IS_READY.store(true, Ordering::Relaxed),
    }
    let Some(orders) = args
        .next()
        .and_then(|orders| serde_json::from_str(orders.to_str()?).ok())
    else {
        eprintln!("{MARK} is not for you: executors start programs with it");
        exit(FAILED);
    };
    let why = launch(&orders, args);
    eprintln!("{}{why}", orders.secret);
    exit(FAILED);
}

/// Returns only what went wrong.
fn launch(orders: &Orders, mut args: impl Iterator<Item = OsString>) -> String {
    let (Some(program), Some(name)) = (args.next(), args.next()) else {
        return "no program".to_owned();
    };
    let mut command = Command::new(&program);
    command.arg0(name).args(args);
    if let Err(why) = obey(orders) {
        return why;
    }
    failed("execute the program", command.exec())
}

fn obey(orders: &Orders) -> Result<(), String> {
    if let Some(cgroup) = &orders.cgroup {
        fs::write(cgroup.join("cgroup.procs"), "0").map_err(|error| failed("join the cgroup", error))?;
    }
    limit(Resource::Core, 0, 0).map_err(|error| failed("limit core files", error))?;
    if let Some(files) = orders.files_max {
        limit(Resource::Nofile, files, files).map_err(|error| failed("limit open files", error))?;
    }
    if let Some(seconds) = orders.cpu_max_s {
        // The signal first, so that a program can say something; it cannot go on for long.
        limit(Resource::Cpu, seconds, seconds + 1).map_err(|error| failed("limit processor time", error))?;
    }
    if let Some(user) = &orders.user {
        become_user(user).map_err(|error| failed("become the user", error))?;
    }
    if let Some(bytes) = orders.memory_max {
        limit(Resource::As, bytes, bytes).map_err(|error| failed("limit memory", error))?;
    }
    Ok(())
}

fn failed(what: &str, why: impl Display) -> String {
    format!("failed to {what}: {why}")
}

/// Sets a limit, or what is stricter already.
fn limit(resource: Resource, soft: u64, hard: u64) -> io::Result<()> {
    let now = getrlimit(resource);
    let hard = now.maximum.map_or(hard, |maximum| maximum.min(hard));
    let limits = Rlimit {
        current: Some(soft.min(hard)),
        maximum: Some(hard),
    };
    Ok(setrlimit(resource, limits)?)
}

fn become_user(user: &Identity) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    let groups: Vec<Gid> = user.groups.iter().map(|&group| Gid::from_raw(group)).collect();
    // A launcher has one thread, so what holds for the thread holds for the process.
    set_thread_groups(&groups)?;
    set_thread_res_gid(gid, gid, gid)?;
    Ok(set_thread_res_uid(uid, uid, uid)?)
}
