//! Seeded bugs: each takes one rule of the protocol away. The checker must notice every one.

pub(crate) mod scripts;

use std::fmt;

use crate::invariants::Invariant;

/// A bug. The processes and stores of the model ask whether it is seeded; the core knows nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mutant {
    /// `commit` records outcomes without looking for the lease.
    CommitWithoutLease,
    /// `commit` takes what lies before its tasks out of the lease, too.
    CommitLosesFront,
    /// `release` counts a death.
    ReleaseCountsDeath,
    /// `release` gives back tasks whoever leases them.
    ReleaseWithoutLease,
    /// A list that lacks a name proves a death, however old the list is.
    AbsenceIsDeath,
    /// `prcd` counts as complete: the store is not asked for its status, and what it has is delivered.
    ProcessedIsTrusted,
    /// The keys are dropped before the ledger says `uploaded`.
    DropBeforeUploaded,
    /// The follow-up is created after `uploaded`, in a transaction of its own.
    FollowUpOutsideMulti,
    /// A `create` without a reply counts as failed.
    UnclearCreateFailed,
    /// A lock that was asked for without a reply counts as somebody else's.
    UnclearLockFailed,
    /// A process registers under one name for ever, and holds its leases under it.
    NameReused,
    /// Ranges are reclaimed when a member is seen to vanish, and at no other time.
    ReclaimByEvent,
    /// `claim` does not bring back a lease that the holder does not know of.
    UnknownLeasesKept,
    /// A lock that is there already is taken for one's own.
    OwnerNotCompared,
    /// `claim` answers `none` where all is committed.
    CompleteNotSaid,
    /// Nothing leads out of `zpd` but `uploaded`.
    ZippedOneWay,
    /// The list of a staged follow-up has no time to live.
    StagedForEver,
    /// A cancelled job is dropped without being opened, by a `drop` that leaves no tombstone of what is not open. The
    /// second half belongs to it: as `drop` is, the tombstone alone would do.
    CancelWithoutOpen,
    /// `drop` drops whichever life of the id stands there.
    DropWithoutLife,
    /// After its session expired an executor still counts the leases that it had as in hand.
    LeasesOutliveSession,
    /// After its session expired a watcher goes on with the job that it had locked.
    LockOutlivesSession,
    /// The znode of a job is deleted whatever its version is.
    DeleteAnyVersion,
    /// A submitter reports success when the znode is there, before the tasks are safe.
    SuccessBeforeOpen,
    /// An executor never looks again at a job that it had put aside, unless members or jobs change.
    NoSecondLook,
    /// An executor that has a new connection to the store does not look again at what it had put aside.
    ReconnectUnnoticed,
}

impl Mutant {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::CommitWithoutLease,
        Self::CommitLosesFront,
        Self::ReleaseCountsDeath,
        Self::ReleaseWithoutLease,
        Self::AbsenceIsDeath,
        Self::ProcessedIsTrusted,
        Self::DropBeforeUploaded,
        Self::FollowUpOutsideMulti,
        Self::UnclearCreateFailed,
        Self::UnclearLockFailed,
        Self::NameReused,
        Self::ReclaimByEvent,
        Self::UnknownLeasesKept,
        Self::OwnerNotCompared,
        Self::CompleteNotSaid,
        Self::ZippedOneWay,
        Self::StagedForEver,
        Self::CancelWithoutOpen,
        Self::DropWithoutLife,
        Self::LeasesOutliveSession,
        Self::LockOutlivesSession,
        Self::DeleteAnyVersion,
        Self::SuccessBeforeOpen,
        Self::NoSecondLook,
        Self::ReconnectUnnoticed,
    ];

    /// As the command line has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CommitWithoutLease => "commit-without-lease",
            Self::CommitLosesFront => "commit-loses-front",
            Self::ReleaseCountsDeath => "release-counts-death",
            Self::ReleaseWithoutLease => "release-without-lease",
            Self::AbsenceIsDeath => "absence-is-death",
            Self::ProcessedIsTrusted => "processed-is-trusted",
            Self::DropBeforeUploaded => "drop-before-uploaded",
            Self::FollowUpOutsideMulti => "follow-up-outside-multi",
            Self::UnclearCreateFailed => "unclear-create-failed",
            Self::UnclearLockFailed => "unclear-lock-failed",
            Self::NameReused => "name-reused",
            Self::ReclaimByEvent => "reclaim-by-event",
            Self::UnknownLeasesKept => "unknown-leases-kept",
            Self::OwnerNotCompared => "owner-not-compared",
            Self::CompleteNotSaid => "complete-not-said",
            Self::ZippedOneWay => "zipped-one-way",
            Self::StagedForEver => "staged-for-ever",
            Self::CancelWithoutOpen => "cancel-without-open",
            Self::DropWithoutLife => "drop-without-life",
            Self::LeasesOutliveSession => "leases-outlive-session",
            Self::LockOutlivesSession => "lock-outlives-session",
            Self::DeleteAnyVersion => "delete-any-version",
            Self::SuccessBeforeOpen => "success-before-open",
            Self::NoSecondLook => "no-second-look",
            Self::ReconnectUnnoticed => "reconnect-unnoticed",
        }
    }

    /// The configuration that shows it, and the promise that it breaks there.
    #[must_use]
    pub const fn shown_by(self) -> (&'static str, Invariant) {
        match self {
            Self::CommitWithoutLease => ("zombie", Invariant::ExactlyOnce),
            Self::CommitLosesFront => ("disorder", Invariant::ExactlyOnce),
            Self::ReleaseCountsDeath => ("release", Invariant::Fenced),
            Self::ReleaseWithoutLease => ("release", Invariant::Fenced),
            Self::AbsenceIsDeath => ("lagging-executors", Invariant::Fenced),
            Self::ProcessedIsTrusted => ("rollback", Invariant::ExactlyOnce),
            Self::DropBeforeUploaded => ("crash", Invariant::AcknowledgedIsSafe),
            Self::FollowUpOutsideMulti => ("follow-up", Invariant::OneFollowUp),
            Self::UnclearCreateFailed => ("unclear", Invariant::AcknowledgedIsSafe),
            Self::UnclearLockFailed => ("unclear", Invariant::EveryJobEnds),
            Self::NameReused => ("zombie", Invariant::Fenced),
            Self::ReclaimByEvent => ("crash-and-unclear", Invariant::EveryJobEnds),
            Self::UnknownLeasesKept => ("unclear", Invariant::EveryJobEnds),
            Self::OwnerNotCompared => ("crash", Invariant::LedgerTable),
            Self::CompleteNotSaid => ("crash", Invariant::EveryJobEnds),
            Self::ZippedOneWay => ("archive", Invariant::EveryJobEnds),
            Self::StagedForEver => ("follow-up", Invariant::EveryJobEnds),
            Self::CancelWithoutOpen => ("cancel", Invariant::DroppedStaysDropped),
            Self::DropWithoutLife => ("reuse", Invariant::AcknowledgedIsSafe),
            Self::LeasesOutliveSession => ("zombie", Invariant::EveryJobEnds),
            Self::LockOutlivesSession => ("zombie", Invariant::LedgerTable),
            Self::DeleteAnyVersion => ("reuse", Invariant::LedgerTable),
            Self::SuccessBeforeOpen => ("lapse", Invariant::AcknowledgedIsSafe),
            Self::NoSecondLook => ("release", Invariant::EveryJobEnds),
            Self::ReconnectUnnoticed => ("rollback", Invariant::EveryJobEnds),
        }
    }
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
