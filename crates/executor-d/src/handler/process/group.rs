//! A process group that is ours to end.

use std::{
    io,
    os::fd::OwnedFd,
    process::{Child, ExitStatus},
    time::Duration,
};

use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, test_kill_process_group},
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    net::unix::pipe,
    time::{Instant, sleep_until, timeout_at},
};

use super::{cgroup::Leaf, keeper::Kept, reaper};

/// How often a group whose leader has ended is asked whether anything of it is left.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A process that leads a group, and all that it started in it.
///
/// Dropping it ends the group in the background, as [`Group::end`] does.
#[derive(Debug)]
pub(crate) struct Group(Option<Leader>);

impl Group {
    /// Of a process that was started as the leader of a group of its own, and in this cgroup. Must be called within a
    /// runtime.
    ///
    /// # Errors
    /// When there is no descriptor for it left; the process is killed then.
    pub(super) fn new(process: Child, kill_after: Duration, cgroup: Option<Leaf>) -> io::Result<Self> {
        let pid = Pid::from_child(&process);
        let mut leader = Leader {
            pid,
            exit: None,
            kill_after,
            cgroup,
            kept: Kept::new(process.id()),
            process,
            is_over: false,
        };
        let pidfd = pidfd_open(pid, PidfdFlags::NONBLOCK)?;
        leader.exit = Some(watch(pidfd)?);
        Ok(Self(Some(leader)))
    }

    /// Returns when the leader has ended. It is not reaped yet.
    ///
    /// # Cancel safety
    /// Safe.
    pub(crate) async fn exited(&self) {
        if let Some(leader) = &self.0 {
            leader.exited().await;
        }
    }

    /// Whether something was killed because it used more memory than its cgroup may.
    pub(super) fn is_out_of_memory(&self) -> bool {
        let cgroup = self.0.as_ref().and_then(|leader| leader.cgroup.as_ref());
        cgroup.is_some_and(Leaf::is_out_of_memory)
    }

    /// Kills what is left of the group, and reaps its leader, which has [ended](Self::exited) or is killed, too.
    ///
    /// # Errors
    /// When the operating system does not tell the status.
    pub(crate) fn reap(mut self) -> io::Result<ExitStatus> {
        match self.0.take() {
            Some(mut leader) => leader.reap(),
            None => Err(io::Error::other("reaped already")),
        }
    }

    /// Ends the group: TERM, and KILL for what is left after `kill_after`. At the end nothing of it is left, but for
    /// what made itself a group of its own.
    ///
    /// # Errors
    /// When the operating system does not tell the status.
    ///
    /// # Cancel safety
    /// Dropping the future lets this go on in the background.
    pub(crate) async fn end(mut self) -> io::Result<ExitStatus> {
        let ended = match &mut self.0 {
            Some(leader) => leader.end().await,
            None => Err(io::Error::other("reaped already")),
        };
        self.0 = None;
        ended
    }

    /// Lets the group come to its end in the background: closes `input`, and ends it when nothing came of that within
    /// `kill_after`.
    pub(crate) fn dismiss(mut self, input: Option<pipe::Sender>) {
        drop(input);
        if let Some(leader) = self.0.take() {
            let patience = leader.kill_after;
            reaper::adopt(leader, patience);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0.take() {
            reaper::adopt(leader, Duration::ZERO);
        }
    }
}

#[expect(
    deprecated,
    reason = "its successor is unsafe, for types that may show another descriptor later; an OwnedFd does not"
)]
fn watch(pidfd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(pidfd, Interest::READABLE)
}

/// The process itself. Dropping it kills the group at once.
#[derive(Debug)]
pub(super) struct Leader {
    process: Child,
    pid: Pid,
    /// Readable from its end on.
    exit: Option<AsyncFd<OwnedFd>>,
    kill_after: Duration,
    cgroup: Option<Leaf>,
    kept: Option<Kept>,
    /// Whether it was reaped.
    is_over: bool,
}

impl Leader {
    pub(super) async fn exited(&self) {
        if let Some(exit) = &self.exit {
            // Fails only while the runtime goes down, and this future with it.
            let _ = exit.readable().await;
        }
    }

    fn signal(&self, signal: Signal) {
        // Nothing of the group being left is what we want.
        let _ = kill_process_group(self.pid, signal);
    }

    fn kill(&self) {
        self.signal(Signal::KILL);
        if let Some(cgroup) = &self.cgroup {
            cgroup.kill();
        }
    }

    fn reap(&mut self) -> io::Result<ExitStatus> {
        // Before its leader is reaped the group's id cannot belong to anybody else.
        self.kill();
        self.kept = None;
        self.is_over = true;
        self.process.wait()
    }

    /// See [`Group::end`].
    pub(super) async fn end(&mut self) -> io::Result<ExitStatus> {
        let deadline = Instant::now() + self.kill_after;
        self.signal(Signal::TERM);
        // A process that was stopped hears it only then.
        self.signal(Signal::CONT);
        if timeout_at(deadline, self.exited()).await.is_err() {
            self.kill();
            self.exited().await;
            return self.reap();
        }
        let status = self.process.wait();
        self.is_over = true;
        self.outlive(deadline).await;
        status
    }

    /// Gives those that the leader left behind the time that is theirs.
    ///
    /// While any of them lives, the group's id is not given to anybody else. Between the end of the last one and the look
    /// that finds it out it would have to be: ids are given out in turn, so all others would have to be used up in that
    /// time.
    async fn outlive(&self, deadline: Instant) {
        while test_kill_process_group(self.pid) != Err(Errno::SRCH) {
            if Instant::now() >= deadline {
                self.kill();
                return;
            }
            sleep_until(deadline.min(Instant::now() + LOOK_EVERY)).await;
        }
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        if !self.is_over {
            self.kill();
            // Most often too early; a zombie of a daemon that is about to end is of no harm.
            let _ = self.process.try_wait();
        }
    }
}
