//! What the scripts answer.
//!
//! How these stand on the wire is in `parse.rs`.

use super::Payloads;
use crate::{Holder, Lease, TaskRange};

/// Answer of `push`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Push {
    /// The tasks are there, be it from an earlier delivery. The list now has this many.
    Ok(u64),
    /// The list is not as long as the offset says: it has this many tasks, 0 when it expired. Begin again.
    Gap(u64),
    /// The job was opened from this very list: everything was pushed before.
    Opened,
}

/// Answer of `open`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Open {
    /// The job is open, be it from an earlier delivery.
    Open,
    /// The job was dropped.
    Gone,
    /// The store knows a later life of this id.
    Stale,
    /// The source has not exactly `n` tasks but this many; 0 when there is no such list.
    Missing(u64),
}

/// Answer of `claim`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The store does not know this life of the job: open it.
    Absent,
    /// The job was dropped.
    Gone,
    /// The store knows a later life of this id.
    Stale,
    /// The store lost a part of the job; a watcher should look.
    Broken,
    /// Every task has its outcome.
    Complete,
    /// The audit found nothing: the holder knows of all its leases.
    Audited,
    /// Nothing is left to give but ranges that must be run alone, and the holder does not take those.
    Isolated,
    /// All that is not committed is leased.
    None {
        /// How many tasks are committed.
        committed: u64,
        /// How many tasks the job has.
        count: u64,
        /// Who holds leases, sorted; the one that asked, too, when it does.
        holders: Vec<Holder>,
    },
    /// A lease: a new one, or one that the holder did not know of.
    Lease(Grant),
}

/// A lease with its payloads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What is leased.
    pub lease: Lease,
    /// How many tasks are committed.
    pub committed: u64,
    /// How many of them as errors.
    pub failed: u64,
    /// The first task that was never leased.
    pub cursor: u64,
    /// How many tasks the job has.
    pub count: u64,
    /// Who holds leases, sorted; the one that asked is one of them.
    pub holders: Vec<Holder>,
    /// The payloads of the leased tasks, in order: one for each.
    pub tasks: Payloads,
}

impl Grant {
    /// Whether the job has tasks that are neither committed nor in this very lease.
    #[must_use]
    pub const fn has_more(&self) -> bool {
        self.committed.saturating_add(self.lease.range.len()) < self.count
    }
}

/// How the life that a caller speaks of stands to the one that the store knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// The store knows no such life yet, or not any more.
    Absent,
    /// The store knows a later one.
    Stale,
    /// It was dropped.
    Gone,
    /// It is the job that stands there.
    Open,
}

/// Answer of `commit`, and of `release`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Whether the outcomes were recorded, or the tasks given back, by this very delivery. A repeated one is refused
    /// although the first delivery was accepted: the leases tell.
    pub accepted: bool,
    /// How the job stands. Unless it is [`Standing::Open`], the other fields are zero and empty.
    pub standing: Standing,
    /// How many tasks are committed now.
    pub committed: u64,
    /// How many of them as errors.
    pub failed: u64,
    /// How many tasks the job has.
    pub count: u64,
    /// What the holder leases now, whole and true.
    pub leases: Vec<Lease>,
}

/// Answer of `read`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// The store has not this life of the job.
    Gone,
    /// The store lost tasks.
    Short,
    /// There is no outcome that begins at this index: not committed, lost, unreadable, or past the end.
    Hole(u64),
    /// Tasks and outcomes.
    Slice(Slice),
}

/// Tasks with their outcomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// The commits, at least one, each beginning where the one before ended.
    pub chunks: Vec<Chunk>,
    /// The payloads of all these tasks, in order: one for each.
    pub tasks: Payloads,
}

impl Slice {
    /// From where to read on.
    #[must_use]
    pub fn upto(&self) -> u64 {
        self.chunks.last().map_or(0, |chunk| chunk.range.hi())
    }
}

/// The outcomes of one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Of which tasks.
    pub range: TaskRange,
    /// [Packed](crate::outcome). The store never looked into it: the reader checks that it holds one outcome a task.
    pub packed: Vec<u8>,
}

/// Answer of `status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// The job stands there.
    Open {
        /// How many tasks are committed.
        committed: u64,
        /// How many of them as errors.
        failed: u64,
        /// The first task that was never leased.
        cursor: u64,
        /// Whether there are as many tasks as the ledger says, and the pieces below the cursor add up to it.
        whole: bool,
    },
    /// The job was dropped.
    Gone,
    /// The store knows a later life of this id.
    Stale,
    /// The store does not know this life; its source is a list of this many tasks, 0 when there is none.
    None(u64),
}

/// Answer of `drop`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReply {
    /// Nothing is left but a tombstone.
    Dropped,
    /// The store knows a later life of this id; nothing changed.
    Stale,
}
