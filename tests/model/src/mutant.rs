//! Seeded bugs: each takes one rule of the protocol away. The checker must notice every one.

pub(crate) mod scripts;

use std::fmt;

/// A bug. The processes and stores of the model ask whether it is seeded; the core knows nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mutant {
    /// `commit` records outcomes without looking for the lease.
    CommitWithoutLease,
    /// A list that lacks a name proves a death, however old the list is.
    AbsenceIsDeath,
    /// Ranges are reclaimed when a member is seen to vanish, and at no other time.
    ReclaimByEvent,
    /// A process registers under one name for ever, and holds its leases under it.
    NameReused,
    /// The znode of a job is deleted whatever its version is.
    DeleteAnyVersion,
    /// A lock that is there already is taken for one's own.
    OwnerNotCompared,
    /// A `create` without a reply counts as failed.
    UnclearCreateFailed,
}

impl Mutant {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::CommitWithoutLease,
        Self::AbsenceIsDeath,
        Self::ReclaimByEvent,
        Self::NameReused,
        Self::DeleteAnyVersion,
        Self::OwnerNotCompared,
        Self::UnclearCreateFailed,
    ];

    /// As the command line has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CommitWithoutLease => "commit-without-lease",
            Self::AbsenceIsDeath => "absence-is-death",
            Self::ReclaimByEvent => "reclaim-by-event",
            Self::NameReused => "name-reused",
            Self::DeleteAnyVersion => "delete-any-version",
            Self::OwnerNotCompared => "owner-not-compared",
            Self::UnclearCreateFailed => "unclear-create-failed",
        }
    }
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
