//! A process that was just started, and most likely ends in a moment.
//!
//! To watch two pipes takes longer than to look into them when the process has ended, and a program that does little is
//! gone in a millisecond. So for a few milliseconds only its end is awaited; one that fills a pipe meanwhile waits that
//! long.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use rustix::{
    buffer::spare_capacity,
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    io::{Errno, read},
};
use tokio::{net::unix::pipe, time::timeout};

use super::{
    Bounds, Child, End, Finished, Group, Output, Patience, TooMuch,
    finish::{conclude, tail_for},
    pipes::{Errors, Tail},
};

/// What a process may take that is not watched.
const A_MOMENT: Duration = Duration::from_millis(5);

/// A process whose pipes nobody watches yet.
#[derive(Debug)]
pub(crate) struct Launched {
    pub(super) group: Group,
    pub(super) stdin: Option<OwnedFd>,
    pub(super) unfed: Vec<u8>,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

/// What was found in a pipe.
enum Found {
    /// The end.
    End,
    /// Something holds it open.
    Open,
}

impl Launched {
    /// The same, with what [`finish`](Self::finish) is to write to it after its start with [`Input::Pipe`](super::Input::Pipe).
    pub(crate) fn with_input(self, input: Vec<u8>) -> Self {
        Self { unfed: input, ..self }
    }

    /// The same, with its pipes watched.
    ///
    /// # Errors
    /// When that cannot be done; the process is ended then.
    pub(super) fn watched(self) -> io::Result<Child> {
        Ok(Child {
            group: self.group,
            stdin: self.stdin.map(pipe::Sender::from_owned_fd).transpose()?,
            unfed: self.unfed,
            stdout: pipe::Receiver::from_owned_fd(self.stdout)?,
            stderr: pipe::Receiver::from_owned_fd(self.stderr)?,
        })
    }

    /// Gives the process the rest of its input, and reads what it writes until it has ended; ends it when patience is
    /// over, or when it writes more than `output` takes. What it leaves behind in its group is killed.
    ///
    /// # Cancel safety
    /// Dropping the future ends the process in the background.
    pub(crate) async fn finish(
        self,
        bounds: &Bounds,
        patience: &Patience,
        output: &mut impl Output,
    ) -> Finished {
        let mut tail = tail_for(bounds);
        // Whoever has more to read than a pipe holds may be waiting for it.
        if self.stdin.is_none() && timeout(A_MOMENT, self.group.exited()).await.is_ok() {
            match self.look(output, &mut tail) {
                Ok(Found::End) => return conclude(bounds, Ok(()), self.group, tail),
                Ok(Found::Open) => {}
                Err(too_much) => return conclude(bounds, Err(too_much), self.group, tail),
            }
        }
        match self.watched() {
            Ok(child) => child.finish(bounds, patience, output, tail).await,
            Err(error) => Finished {
                end: End::Unknown(error),
                stderr: tail.into_bytes(),
            },
        }
    }

    /// Takes what is in the pipes.
    fn look(&self, output: &mut impl Output, tail: &mut Tail) -> Result<Found, TooMuch> {
        let errors = look_into(&self.stderr, &mut Errors::new(tail))?;
        Ok(match look_into(&self.stdout, output)? {
            Found::End => errors,
            Found::Open => Found::Open,
        })
    }
}

fn look_into(pipe: &OwnedFd, output: &mut impl Output) -> Result<Found, TooMuch> {
    // Ours is the only reader, so nobody else sees that it does not wait.
    let does_not_wait =
        fcntl_getfl(pipe.as_fd()).and_then(|flags| fcntl_setfl(pipe.as_fd(), flags | OFlags::NONBLOCK));
    if does_not_wait.is_err() {
        return Ok(Found::Open);
    }
    loop {
        match read(pipe, spare_capacity(output.space())) {
            Ok(0) => return Ok(Found::End),
            Ok(_) => output.grew()?,
            Err(Errno::INTR) => {}
            Err(_) => return Ok(Found::Open),
        }
    }
}
