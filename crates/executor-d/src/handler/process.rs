//! Processes with bounds: what programs are started with, how much they may use, and how they end.
//!
//! ```text
//!  Spawner ──start──► Child ─┬─ stdin, stdout, stderr   (pipes: bounded, whatever the child does)
//!     ▲                      └─ Group                   (the process group, ended with TERM, then KILL)
//!   Bounds                        ├──dropped──► reaper  (ends it in the background)
//!                                 └──orphaned─► keeper  (ends it when this process was killed)
//! ```
//!
//! Each child leads a process group of its own, so that what it starts ends with it. Its environment is cleared but for
//! a list. Where it has a limit that only the process itself can set, it is started through the
//! [launcher](crate::launcher), which is this program again.
//!
//! **Architecture invariant:** nothing that a child does stops the daemon: no call waits for a child without a bound
//! but [`Group::exited`], and whoever waits there can be dropped, which ends the child.

mod bounds;
mod cgroup;
mod finish;
mod group;
mod keeper;
mod launched;
mod lines;
mod patience;
mod pipes;
mod reaper;
mod spawner;
mod starts;
mod user;

#[cfg(test)]
mod tests;

pub(crate) use self::{
    bounds::Bounds,
    finish::{End, Finished},
    group::Group,
    keeper::keep,
    launched::Launched,
    lines::{LineTooLong, Lines},
    patience::Patience,
    pipes::{Output, Tail, TooMuch, Whole},
    reaper::processes_ended,
    spawner::{Child, Input, Spawner, StartError},
    starts::Starts,
};
