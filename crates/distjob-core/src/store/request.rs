//! What the larger scripts are asked. The others take plain arguments.

use crate::{Holder, Packed, TaskRange, Token, Zxid};

/// Append tasks to the list of one submission attempt.
#[derive(Clone, Copy, Debug)]
pub struct PushRequest<'a> {
    /// The attempt. Nobody else pushes under it.
    pub source: &'a Token,
    /// How many tasks were pushed under it before these.
    pub offset: u64,
    /// How long the list lives from now on unless it is opened, in seconds, at least 1.
    pub ttl_s: u64,
    /// The payloads; none at all keeps the list alive.
    pub tasks: &'a [Vec<u8>],
}

/// Whether a claim takes a range that must be run alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Isolated {
    /// No: the holder has other work in hand, or will have.
    #[default]
    Leave,
    /// Yes: its hands are empty and stay so until this is done.
    Take,
}

/// Lease tasks.
#[derive(Clone, Copy, Debug)]
pub struct ClaimRequest<'a> {
    /// Which life of the job.
    pub life: Zxid,
    /// Who asks.
    pub holder: &'a Holder,
    /// How many tasks at most, cut at [`GRANT_TASKS_MAX`](super::GRANT_TASKS_MAX). 0 is an audit: nothing new is
    /// granted, but a lease that the holder does not know of comes back.
    pub want: u64,
    /// How many bytes of payload at most. One task is granted however large it is.
    pub bytes_max: u64,
    /// From how many deaths on a range is given out one task at a time, and only to who takes it; 0: never.
    pub isolate: u32,
    /// Whether to take such a range.
    pub isolated: Isolated,
    /// What the holder has work on, in any order. A lease of it is known when one of these ranges covers it; any other
    /// comes back. So a range may be larger than what is left of its lease, but must hold nothing that was
    /// released.
    pub held: &'a [TaskRange],
}

/// Record the outcomes of a run of tasks, anywhere in a lease.
#[derive(Clone, Copy, Debug)]
pub struct CommitRequest<'a> {
    /// Which life of the job.
    pub life: Zxid,
    /// Whose lease.
    pub holder: &'a Holder,
    /// The first task that has an outcome here.
    pub lo: u64,
    /// The outcomes of `lo` and what follows it, at least one.
    pub outcomes: &'a Packed,
}

impl CommitRequest<'_> {
    /// One past the last index that has an outcome here.
    #[must_use]
    pub const fn upto(&self) -> u64 {
        self.lo.saturating_add(self.outcomes.count())
    }
}

/// Give back a run of tasks that the holder will not run.
#[derive(Clone, Copy, Debug)]
pub struct ReleaseRequest<'a> {
    /// Which life of the job.
    pub life: Zxid,
    /// Whose lease.
    pub holder: &'a Holder,
    /// Which tasks: one lease must cover them.
    pub range: TaskRange,
}

/// Read tasks with their outcomes.
#[derive(Clone, Copy, Debug)]
pub struct ReadRequest {
    /// Which life of the job.
    pub life: Zxid,
    /// The first index, where a commit began: 0, then the `upto` of each slice.
    pub from: u64,
    /// No further commit is added once there are this many tasks.
    pub tasks_max: u64,
    /// No further commit is added once there are this many bytes of payloads and outcomes.
    pub bytes_max: u64,
}
