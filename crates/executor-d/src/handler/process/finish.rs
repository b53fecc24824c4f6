//! Seeing a process through to its end.

use std::{io, pin::pin, process::ExitStatus, time::Duration};

use tokio::{
    io::{copy, sink},
    join, select,
    time::timeout,
    try_join,
};

use super::{
    Bounds, Child, Group, Patience,
    pipes::{Output, Tail, TooMuch, feed, read_tail, read_to_end},
};
use crate::launcher;

/// The launcher must be able to say why it failed, also where nobody wants to keep what programs say.
const TAIL_MIN: usize = 1024;

/// What the pipes of a process that has ended may take to close, too.
pub(crate) const LINGER: Duration = Duration::from_millis(100);

/// How a process ended.
#[derive(Debug)]
pub(crate) enum End {
    /// By itself, or by a signal that is not ours.
    Exited(ExitStatus),
    /// By us: it took too long.
    TimedOut,
    /// By us: it wrote too much to its standard output.
    TooMuchOutput,
    /// By the kernel: it used more memory than its cgroup may.
    OutOfMemory,
    /// It did not become the program that it was to be: what the launcher says.
    NotStarted(String),
    /// Nobody knows.
    Unknown(io::Error),
}

/// A process that has ended, and nothing of its group is left.
#[derive(Debug)]
pub(crate) struct Finished {
    /// How.
    pub(crate) end: End,
    /// The end of what it wrote to its standard error.
    pub(crate) stderr: Vec<u8>,
}

/// Why a process is ended.
#[derive(Debug)]
enum Offence {
    Time,
    Output,
}

impl From<TooMuch> for Offence {
    fn from(_: TooMuch) -> Self {
        Self::Output
    }
}

impl Child {
    /// See [`Launched::finish`](super::Launched::finish), which has found so much on its standard error.
    pub(super) async fn finish(
        self,
        bounds: &Bounds,
        patience: &Patience,
        output: &mut impl Output,
        mut tail: Tail,
    ) -> Finished {
        let Self {
            group,
            stdin,
            unfed,
            mut stdout,
            mut stderr,
        } = self;
        let verdict = {
            let others = async {
                join!(read_tail(&mut stderr, &mut tail), feed(stdin, &unfed));
                Ok(())
            };
            let drained = async { try_join!(read_to_end(&mut stdout, output), others).map(drop) };
            watch(&group, drained, patience).await
        };
        let end = match verdict {
            Ok(()) => return conclude(bounds, Ok(()), group, tail),
            Err(Offence::Time) => End::TimedOut,
            Err(Offence::Output) => End::TooMuchOutput,
        };
        let mut nothing = sink();
        let last_words = async {
            let _ = join!(read_tail(&mut stderr, &mut tail), copy(&mut stdout, &mut nothing));
        };
        // Whatever its status is then, it is our doing.
        let _ = put_an_end_to(group, last_words).await;
        Finished {
            end,
            stderr: last_bytes(bounds, tail),
        }
    }
}

/// Where the end of a standard error is to be kept.
pub(super) fn tail_for(bounds: &Bounds) -> Tail {
    Tail::new(bounds.stderr_max.max(TAIL_MIN))
}

/// What came of a process that has ended, by itself: it is reaped.
pub(super) fn conclude(bounds: &Bounds, output: Result<(), TooMuch>, group: Group, tail: Tail) -> Finished {
    let is_out_of_memory = group.is_out_of_memory();
    let status = group.reap();
    let refusal = |status| launcher::failure(&bounds.orders, status, &tail.clone().into_bytes());
    let end = match (output, status) {
        (Err(TooMuch), _) => End::TooMuchOutput,
        (Ok(()), _) if is_out_of_memory => End::OutOfMemory,
        (Ok(()), Ok(status)) => match refusal(status) {
            Some(why) => End::NotStarted(why),
            None => End::Exited(status),
        },
        (Ok(()), Err(error)) => End::Unknown(error),
    };
    Finished {
        end,
        stderr: last_bytes(bounds, tail),
    }
}

/// As much as may be kept.
fn last_bytes(bounds: &Bounds, tail: Tail) -> Vec<u8> {
    let mut bytes = tail.into_bytes();
    bytes.drain(..bytes.len().saturating_sub(bounds.stderr_max));
    bytes
}

/// Waits for the end of a process, and for that of what it writes.
async fn watch(
    group: &Group,
    drained: impl Future<Output = Result<(), TooMuch>>,
    patience: &Patience,
) -> Result<(), Offence> {
    let ended = async {
        let mut drained = pin!(drained);
        select! {
            biased;
            drained = &mut drained => {
                drained?;
                group.exited().await;
            }
            () = group.exited() => {
                // Whatever else holds the pipes open has nothing to say of this task.
                if let Ok(drained) = timeout(LINGER, drained).await {
                    drained?;
                }
            }
        }
        Ok(())
    };
    select! {
        biased;
        ended = ended => ended,
        () = patience.is_over() => Err(Offence::Time),
    }
}

/// Ends a process, while somebody reads what it says to that.
async fn put_an_end_to(group: Group, last_words: impl Future<Output = ()>) -> io::Result<ExitStatus> {
    let mut ended = pin!(group.end());
    let mut last_words = pin!(last_words);
    let status = select! {
        biased;
        () = &mut last_words => None,
        status = &mut ended => Some(status),
    };
    match status {
        Some(status) => {
            let _ = timeout(LINGER, last_words).await;
            status
        }
        None => ended.await,
    }
}
