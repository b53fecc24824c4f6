//! The project's own programs as child processes.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::fs::{self, File};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use crate::child::{Child, mortal, within};

/// Between two looks at the memory of a process that is watched.
const MEMORY_PERIOD: Duration = Duration::from_millis(10);
/// How many lines of a process are shown when its test fails.
const LINES_SHOWN: usize = 60;

/// A program of the workspace, about to be started.
#[derive(Debug)]
pub struct Program {
    binary: PathBuf,
    prefix: Vec<OsString>,
    args: Vec<OsString>,
    environment: Vec<(String, OsString)>,
    config: Option<String>,
    stdin: Stdin,
    memory_watched: bool,
}

#[derive(Debug)]
enum Stdin {
    Empty,
    File(PathBuf),
    Pipe,
}

impl Program {
    /// The program `name` of this workspace, from the directory that this process was built into. An error that says what
    /// to do when it was not built.
    pub fn of_workspace(name: &str) -> Result<Program> {
        let binary = target_dir()?.join(name);
        ensure!(
            binary.is_file(),
            "{} is missing: run `cargo build --workspace` first, or let `cargo xtask test` do it",
            binary.display()
        );
        Ok(Program::at(binary))
    }

    /// The program at this path.
    pub fn at(binary: impl Into<PathBuf>) -> Program {
        Program {
            binary: binary.into(),
            prefix: Vec::new(),
            args: Vec::new(),
            environment: Vec::new(),
            config: None,
            stdin: Stdin::Empty,
            memory_watched: false,
        }
    }

    /// Runs it behind `prefix`, see [`within`]; its process is the program's all the same.
    pub fn within(mut self, prefix: &[OsString]) -> Program {
        self.prefix = prefix.to_owned();
        self
    }

    /// Adds one argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Program {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Program {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable of its environment, from which all `DISTJOB_*` of this process are removed.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Program {
        self.environment
            .push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Makes it reach ZooKeeper at `host:port` whatever its file says, as through a proxy.
    pub fn zookeeper_at(self, addr: impl Display) -> Program {
        self.env("DISTJOB_ZOOKEEPER__CONNECT", addr.to_string())
    }

    /// Makes it reach Redis at `host:port` whatever its file says, as through a proxy.
    pub fn redis_at(self, addr: impl Display) -> Program {
        self.env("DISTJOB_REDIS__URL", format!("redis://{addr}"))
    }

    /// Gives it this TOML text as its configuration file, by a leading `--config FILE`.
    pub fn config(mut self, toml: impl Into<String>) -> Program {
        self.config = Some(toml.into());
        self
    }

    /// Gives it a file as standard input. It is empty otherwise.
    pub fn stdin_file(mut self, path: impl Into<PathBuf>) -> Program {
        self.stdin = Stdin::File(path.into());
        self
    }

    /// Gives it a pipe as standard input, to be taken by [`Child::take_stdin`].
    pub fn stdin_pipe(mut self) -> Program {
        self.stdin = Stdin::Pipe;
        self
    }

    /// Lets [`Process::peak_memory`] be asked after its end also.
    pub fn watch_memory(mut self) -> Program {
        self.memory_watched = true;
        self
    }

    /// Starts it. `name` names its files in `dir`: `<name>.toml`, `<name>.out` and `<name>.err`.
    pub fn start(self, name: &str, dir: &Path) -> Result<Process> {
        let mut command = within(&self.prefix, mortal(&self.binary));
        // Settings of the test run itself are not for the programs under test.
        for (variable, _) in
            env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"DISTJOB_"))
        {
            command.env_remove(variable);
        }
        if let Some(toml) = &self.config {
            let path = dir.join(format!("{name}.toml"));
            fs::write(&path, toml).with_context(|| format!("write {}", path.display()))?;
            command.arg("--config").arg(path);
        }
        command.args(&self.args).envs(self.environment).current_dir(dir);
        match &self.stdin {
            Stdin::Empty => {}
            Stdin::Pipe => drop(command.stdin(Stdio::piped())),
            Stdin::File(path) => {
                let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
                command.stdin(file);
            }
        }
        let child = Child::spawn(name, command, dir)?;
        let peak = Arc::new(AtomicU64::new(0));
        if self.memory_watched {
            watch_memory(child.pid(), Arc::clone(&peak));
        }
        Ok(Process {
            child,
            config: dir.join(format!("{name}.toml")),
            peak,
        })
    }
}

/// The directory of the workspace's programs: that of this executable, or above it when this is a test or an example.
pub(crate) fn target_dir() -> Result<PathBuf> {
    let executable = env::current_exe().context("find this executable")?;
    let dir = executable.parent().context("this executable has no directory")?;
    let is_below = ["deps", "examples"].iter().any(|name| dir.ends_with(name));
    Ok(if is_below {
        dir.parent().context("the executable's directory has no parent")?
    } else {
        dir
    }
    .to_owned())
}

/// A running or ended program. Dropping it kills it; in a test that panics its last lines are printed first.
///
/// Everything that a [`Child`] can do it can do too.
#[derive(Debug)]
pub struct Process {
    child: Child,
    config: PathBuf,
    /// In bytes, while watched.
    peak: Arc<AtomicU64>,
}

impl Deref for Process {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.child
    }
}

impl Process {
    /// Waits for a line on standard error, where logs go, see [`crate::Log::wait`].
    pub async fn wait_log(&self, pattern: &str, limit: Duration) -> Result<String> {
        self.stderr().wait(pattern, limit).await
    }

    /// SIGTERM: leave in good order.
    pub fn terminate(&self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// SIGSTOP: as a machine that froze.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// SIGCONT: goes on after [`Process::pause`].
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Replaces its configuration file, then SIGHUP.
    pub fn reload(&self, toml: &str) -> Result<()> {
        fs::write(&self.config, toml).with_context(|| format!("write {}", self.config.display()))?;
        self.signal(Signal::HUP)
    }

    /// SIGTERM, and wait for the end; an error unless it ends with status 0 within `limit`.
    pub async fn stop(&self, limit: Duration) -> Result<()> {
        self.terminate()?;
        self.succeeded(limit).await.map(drop)
    }

    /// Waits for its end with status 0, and returns the lines of its standard output. An error that quotes its last lines
    /// when it fails, or does not end within `limit`.
    pub async fn succeeded(&self, limit: Duration) -> Result<Vec<String>> {
        let status = self.wait(limit).await?;
        ensure!(
            status.success(),
            "{} ended with {status}:\n{}",
            self.name(),
            self.stderr().tail(LINES_SHOWN)
        );
        Ok(self.stdout().lines())
    }

    /// Its resident memory now, in bytes. An error when it has ended.
    pub fn memory(&self) -> Result<u64> {
        memory_of(self.pid(), "VmRSS:")
            .with_context(|| format!("{} has no memory: has it ended?", self.name()))
    }

    /// The most resident memory that it ever had, in bytes; up to its end also when it was started with
    /// [`Program::watch_memory`], give or take the last 10 ms.
    pub fn peak_memory(&self) -> Result<u64> {
        let now = memory_of(self.pid(), "VmHWM:").unwrap_or(0);
        let peak = now.max(self.peak.load(Ordering::Relaxed));
        ensure!(
            peak > 0,
            "the memory of {} is not known: it has ended and was not watched",
            self.name()
        );
        Ok(peak)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if thread::panicking() {
            let ended = self
                .exit_status()
                .map_or("running".to_owned(), |status| status.to_string());
            eprintln!(
                "---- {} ({ended}), last lines of its log:\n{}",
                self.name(),
                self.stderr().tail(LINES_SHOWN)
            );
        }
    }
}

fn watch_memory(pid: u32, peak: Arc<AtomicU64>) {
    thread::spawn(move || {
        // The first looks may still see setpriv, which is smaller than any of the programs.
        while let Some(bytes) = memory_of(pid, "VmHWM:") {
            peak.fetch_max(bytes, Ordering::Relaxed);
            thread::sleep(MEMORY_PERIOD);
        }
    });
}

/// A field of `/proc/<pid>/status` in bytes; none for a process that has ended.
fn memory_of(pid: u32, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix(field))?
        .trim()
        .strip_suffix(" kB")?;
    kib.parse::<u64>().ok().map(|kib| kib * 1024)
}
