//! One child process, tied to the life of the process that started it.
//!
//! `setpriv --pdeathsig KILL` makes the kernel kill the child when the *thread* that spawned it ends. All children are
//! therefore spawned from one thread that lives as long as this process does: a child started from a short-lived
//! worker would otherwise die with that worker.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::log::Log;

/// How long the last lines of a process may take to arrive after it ended. Only a grandchild that inherited the pipe can
/// hold them up.
const LAST_LINES_WITHIN: Duration = Duration::from_secs(1);

/// The command that runs `program` such that it dies with this process. Arguments, environment and a standard input other
/// than `/dev/null` are added to it as usual.
pub fn mortal(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--"])
        .arg(program)
        .stdin(Stdio::null());
    command
}

/// `command` behind `prefix`, a program and arguments that end by executing what follows them in the same process, such as
/// `nsenter --net=FILE --`; `command` itself when `prefix` is empty. Arguments, environment and directory are kept, the
/// standard input is empty again.
pub fn within(prefix: &[OsString], command: Command) -> Command {
    let Some((program, args)) = prefix.split_first() else {
        return command;
    };
    let mut whole = Command::new(program);
    whole
        .args(args)
        .arg(command.get_program())
        .args(command.get_args())
        .stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => whole.env(name, value),
            None => whole.env_remove(name),
        };
    }
    if let Some(dir) = command.get_current_dir() {
        whole.current_dir(dir);
    }
    whole
}

/// A running or ended child process with its output. Dropping it kills it, and its process group, with SIGKILL.
#[derive(Debug)]
pub struct Child {
    name: String,
    pid: Pid,
    /// Present until reaped, so that while the lock is held and it is present, `pid` cannot have been reused.
    unreaped: Arc<Mutex<Option<std::process::Child>>>,
    exit: watch::Receiver<Option<ExitStatus>>,
    stdin: Mutex<Option<ChildStdin>>,
    stdout: Log,
    stderr: Log,
}

impl Child {
    /// Starts `command` in a process group of its own (ctrl-C in a terminal does not reach it), with its output captured
    /// to `<dir>/<name>.out` and `<dir>/<name>.err`. `command` should come from [`mortal`].
    pub fn spawn(name: &str, mut command: Command, dir: &Path) -> Result<Child> {
        use std::os::unix::process::CommandExt as _;
        command
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = spawn_from_lasting_thread(command).with_context(|| format!("start {name}"))?;
        let pid = Pid::from_child(&child);
        let file = |ending| -> Result<File> {
            let path = dir.join(format!("{name}.{ending}"));
            File::options()
                .create(true)
                .append(true)
                .open(&path)
                .with_context(|| format!("open {}", path.display()))
        };
        let stdin = Mutex::new(child.stdin.take());
        let stdout = child.stdout.take().context("no stdout pipe")?;
        let stderr = child.stderr.take().context("no stderr pipe")?;
        let (stdout, stderr) = (
            Log::follow(name, stdout, file("out")?),
            Log::follow(name, stderr, file("err")?),
        );
        let unreaped = Arc::new(Mutex::new(Some(child)));
        let exit = reap(pid, Arc::clone(&unreaped));
        Ok(Child {
            name: name.to_owned(),
            pid,
            unreaped,
            exit,
            stdin,
            stdout,
            stderr,
        })
    }

    /// The name it was given, which is also the stem of its log files.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id. Once the process was reaped the number may belong to another one.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// The writing end of its standard input, once, when its command asked for a pipe.
    pub fn take_stdin(&self) -> Option<ChildStdin> {
        self.stdin.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What it wrote to standard output so far.
    pub fn stdout(&self) -> &Log {
        &self.stdout
    }

    /// What it wrote to standard error so far.
    pub fn stderr(&self) -> &Log {
        &self.stderr
    }

    /// Its exit status, once it has ended.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        *self.exit.borrow()
    }

    /// Sends `signal` to the process alone. An error when it has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let unreaped = self.unreaped.lock().unwrap_or_else(PoisonError::into_inner);
        if unreaped.is_none() {
            return Err(anyhow!("{} has ended already", self.name));
        }
        kill_process(self.pid, signal).with_context(|| format!("send {signal:?} to {}", self.name))
    }

    /// Waits for the end of the process, and for its last lines. An error when it still runs after `limit`; it is then
    /// left running. Cancellation safe.
    pub async fn wait(&self, limit: Duration) -> Result<ExitStatus> {
        let mut exit = self.exit.clone();
        let ended = async { exit.wait_for(Option::is_some).await.map(|status| *status) };
        let Ok(ended) = timeout(limit, ended).await else {
            return Err(anyhow!("{} still runs after {limit:?}", self.name));
        };
        let status = ended
            .with_context(|| format!("wait for {}", self.name))?
            .context("no exit status")?;
        let last_lines = async { tokio::join!(self.stdout.ended(), self.stderr.ended()) };
        let _ = timeout(LAST_LINES_WITHIN, last_lines).await;
        Ok(status)
    }

    /// SIGKILL, and wait for the end. Ended already is fine.
    pub async fn kill(&self) -> Result<()> {
        self.kill_now();
        self.wait(Duration::from_secs(10)).await.map(drop)
    }

    fn kill_now(&self) {
        let unreaped = self.unreaped.lock().unwrap_or_else(PoisonError::into_inner);
        if unreaped.is_some() {
            // Fails only when the process is a zombie already.
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill_now();
        // Until it is really gone it may hold its port and write to a directory that is about to be removed. A killed
        // process is reaped within milliseconds; the limit is for one stuck in the kernel.
        for _ in 0..1_000 {
            if self.exit_status().is_some() {
                return;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Reaps the process when it ends, and tells its status.
fn reap(pid: Pid, unreaped: Arc<Mutex<Option<std::process::Child>>>) -> watch::Receiver<Option<ExitStatus>> {
    let (ended, exit) = watch::channel(None);
    thread::spawn(move || {
        // First only wait: the process becomes a zombie, whose id stays its own until the lock is held.
        while let Err(rustix::io::Errno::INTR) =
            waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
        {}
        let mut unreaped = unreaped.lock().unwrap_or_else(PoisonError::into_inner);
        let status = unreaped.take().and_then(|mut child| child.wait().ok());
        ended.send_replace(status);
    });
    exit
}

type Spawn = (Command, Sender<io::Result<std::process::Child>>);

fn spawn_from_lasting_thread(command: Command) -> io::Result<std::process::Child> {
    static SPAWNER: OnceLock<Sender<Spawn>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, requests) = channel::<Spawn>();
        thread::spawn(move || {
            for (mut command, answer) in requests {
                // The asker waits for the answer, so it is there to take it.
                let _ = answer.send(command.spawn());
            }
        });
        sender
    });
    let (answer, spawned) = channel();
    spawner.send((command, answer)).map_err(io::Error::other)?;
    spawned.recv().map_err(io::Error::other)?
}
