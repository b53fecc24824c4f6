//! A program that runs, with all that it started.

use std::{io, os::fd::OwnedFd, process::ExitStatus, time::Duration};

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use tokio::{
    io::{Interest, unix::AsyncFd},
    process::Child,
    time::timeout,
};

/// A process that leads a group of its own. Dropping it kills the group.
#[derive(Debug)]
pub(super) struct Group {
    leader: Child,
    pid: Pid,
    /// Readable when the leader has ended. It is not reaped before the rest of the group is killed: its number, which is the
    /// group's, could be another's then.
    exit: AsyncFd<OwnedFd>,
    kill_after: Duration,
    is_reaped: bool,
}

impl Group {
    /// Of a process that was started as the leader of a group.
    ///
    /// # Errors
    /// When there is no descriptor left; the group is killed then.
    pub(super) fn new(leader: Child, kill_after: Duration) -> io::Result<Self> {
        let pid = leader.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        let pid = pid.ok_or_else(|| io::Error::other("ended before it was looked at"))?;
        let exit = pidfd_open(pid, PidfdFlags::NONBLOCK)
            .map_err(io::Error::from)
            .and_then(watch)
            .inspect_err(|_| kill(pid, Signal::KILL))?;
        Ok(Self {
            leader,
            pid,
            exit,
            kill_after,
            is_reaped: false,
        })
    }

    /// Returns when the leader has ended.
    ///
    /// # Cancel safety
    /// Safe.
    pub(super) async fn exited(&self) {
        // It fails only when the runtime goes down.
        let _ = self.exit.readable().await;
    }

    /// Kills what is left of the group, and takes the status of its leader.
    ///
    /// # Errors
    /// When the operating system does not tell it.
    pub(super) async fn reap(mut self) -> io::Result<ExitStatus> {
        kill(self.pid, Signal::KILL);
        let status = self.leader.wait().await;
        self.is_reaped = true;
        status
    }

    /// Ends the group: TERM, and KILL after a while.
    ///
    /// # Errors
    /// When the operating system does not tell the status.
    ///
    /// # Cancel safety
    /// Dropping the future kills the group.
    pub(super) async fn end(self) -> io::Result<ExitStatus> {
        kill(self.pid, Signal::TERM);
        // Either it has ended, or it is killed.
        let _ = timeout(self.kill_after, self.exited()).await;
        self.reap().await
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.is_reaped {
            // The runtime reaps whatever children are dropped.
            kill(self.pid, Signal::KILL);
        }
    }
}

fn kill(group: Pid, signal: Signal) {
    // Nothing being there is what we want.
    let _ = kill_process_group(group, signal);
}

#[expect(
    deprecated,
    reason = "its successor is unsafe, for types that may show another descriptor later; an OwnedFd does not"
)]
fn watch(pidfd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(pidfd, Interest::READABLE)
}
