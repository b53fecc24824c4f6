//! What an executor does about what the store answers.
//!
//! ```text
//! claim ── lease ──────────► run it, commit by commit; free the ranges of holders that are proven dead
//!       ── absent ─────────► open, claim again
//!       ── complete, … ────► ask a watcher to look (`prcd`)
//!       ── none ───────────► holders proven dead? free their ranges, claim again; else wait for the members to change
//!       ── only isolated ──► empty the hands, then claim one task and run it alone
//! ```
//!
//! The answer to a commit or a release says what is still leased. Nothing of a lease: it is over, or somebody else's.
//!
//! # Poison
//!
//! A task may kill whoever runs it. A range that was given back by deaths often enough is handed out one task at a
//! time, and only to an executor that asks for it with empty hands: whatever else it held would be given back by the
//! same death and count an attempt for no fault of its own. A single task with too many attempts is not run at all;
//! whoever claims it records an error for it.

use crate::{
    Holder, Lease, Percent, Roster, TaskRange,
    store::{Claim, Commit, Grant, Open, Standing},
};

/// What to do after a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AfterClaim {
    /// Run this, and free the ranges of these dead holders.
    Run(Grant, Vec<Holder>),
    /// Open the job, then claim again.
    Open,
    /// Ask a watcher to look at the job, for this reason.
    Finish(Reason),
    /// Free the ranges of these dead holders, then claim again.
    Reclaim(Vec<Holder>),
    /// Everything is in living hands: wait until the members change.
    Wait,
    /// What is left wants to be run alone: claim it with empty hands.
    Isolate,
    /// The audit found nothing.
    Nothing,
}

/// Why a watcher should look at a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It has no tasks.
    Empty,
    /// Every task has its outcome.
    Complete,
    /// The store has dropped it.
    Dropped,
    /// The store knows a later job of this id.
    Superseded,
    /// The store lost a part of it.
    Broken,
    /// Its tasks are not in the store, or not as many as its znode says.
    Missing,
}

impl Reason {
    /// Whether a store that is empty, or another one, might give this reason, too. Only the store in which this very life
    /// was opened can say that all of its tasks have outcomes.
    #[must_use]
    pub const fn may_be_any_stores(self) -> bool {
        !matches!(self, Self::Empty | Self::Complete)
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Empty => "it has no tasks",
            Self::Complete => "every task has its outcome",
            Self::Dropped => "the store has dropped it",
            Self::Superseded => "the store knows a later job of this id",
            Self::Broken => "the store lost a part of it",
            Self::Missing => "its tasks are not in the store, or not as many as its znode says",
        })
    }
}

/// Decides what follows from the answer to a claim, given the newest list of executors.
#[must_use]
pub fn after_claim(claim: Claim, roster: &Roster) -> AfterClaim {
    match claim {
        Claim::Lease(grant) => {
            let dead = proven_dead(&grant.holders, roster);
            AfterClaim::Run(grant, dead)
        }
        Claim::Absent => AfterClaim::Open,
        Claim::Complete => AfterClaim::Finish(Reason::Complete),
        Claim::Gone => AfterClaim::Finish(Reason::Dropped),
        Claim::Stale => AfterClaim::Finish(Reason::Superseded),
        Claim::Broken => AfterClaim::Finish(Reason::Broken),
        Claim::Audited => AfterClaim::Nothing,
        Claim::Isolated => AfterClaim::Isolate,
        Claim::None { holders, .. } => {
            let dead = proven_dead(&holders, roster);
            if dead.is_empty() {
                AfterClaim::Wait
            } else {
                AfterClaim::Reclaim(dead)
            }
        }
    }
}

fn proven_dead(holders: &[Holder], roster: &Roster) -> Vec<Holder> {
    holders
        .iter()
        .filter(|holder| roster.proves_dead(holder))
        .cloned()
        .collect()
}

/// Decides what follows from the answer to `open`: `None` to claim again, or why a watcher should look.
#[must_use]
pub fn after_open(open: &Open) -> Option<Reason> {
    match open {
        Open::Open => None,
        Open::Gone => Some(Reason::Dropped),
        Open::Stale => Some(Reason::Superseded),
        Open::Missing(_) => Some(Reason::Missing),
    }
}

/// How to treat a claimed range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// Run its tasks.
    Run,
    /// Do not run it again: record an error.
    GiveUp,
}

/// Decides how to treat a claimed range. From `poison_after` attempts on (0: never) a single task is given up.
#[must_use]
pub fn treatment(lease: &Lease, poison_after: u32) -> Treatment {
    let hopeless = poison_after > 0 && lease.attempts >= poison_after && lease.range.len() == 1;
    if hopeless {
        Treatment::GiveUp
    } else {
        Treatment::Run
    }
}

/// Whether a job of `count` tasks is hopeless: all of its `committed` tasks `failed`, and they are as many as
/// `abort_after` says, which is at least one. Nothing: no job is.
#[must_use]
pub fn has_only_failed(committed: u64, failed: u64, count: u64, abort_after: Percent) -> bool {
    !abort_after.is_zero() && committed > 0 && failed == committed && committed >= abort_after.of(count)
}

/// What is left of a lease after a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterCommit {
    /// Go on with this, the first that is left; it may begin earlier than expected, when the store was rolled back.
    Continue(Lease),
    /// Nothing is left, and the job is complete.
    Complete,
    /// Nothing is left of it in our hands.
    Ended,
}

/// Decides how to go on with what was granted as `granted`. The answer's leases are the truth, whether the commit was
/// accepted, was refused because an earlier copy of it had been accepted, or because the lease is somebody else's now.
#[must_use]
pub fn after_commit(commit: &Commit, granted: TaskRange) -> AfterCommit {
    let left = commit.leases.iter().filter(|lease| granted.overlaps(lease.range));
    match left.min() {
        Some(lease) => AfterCommit::Continue(*lease),
        None if commit.standing == Standing::Open && commit.committed == commit.count => {
            AfterCommit::Complete
        }
        None => AfterCommit::Ended,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MemberName, Zxid};

    fn holder(name: &str, born: u64) -> Holder {
        Holder {
            born: Zxid::new(born),
            name: MemberName::new(name).unwrap(),
        }
    }

    fn roster(as_of: u64, names: &[&str]) -> Roster {
        let members = names
            .iter()
            .map(|name| (MemberName::new(*name).unwrap(), None))
            .collect();
        Roster {
            as_of: Zxid::new(as_of),
            members,
            ..Roster::default()
        }
    }

    fn lease(lo: u64, hi: u64, attempts: u32) -> Lease {
        Lease {
            range: TaskRange::new(lo, hi).unwrap(),
            attempts,
        }
    }

    #[test]
    fn only_holders_that_are_proven_dead_lose_their_ranges() {
        let holders = vec![holder("alive", 1), holder("dead", 2), holder("newborn", 9)];
        let none = |holders| Claim::None {
            committed: 0,
            count: 9,
            holders,
        };
        let roster = roster(5, &["alive"]);
        assert_eq!(
            after_claim(none(holders.clone()), &roster),
            AfterClaim::Reclaim(vec![holder("dead", 2)])
        );
        assert_eq!(
            after_claim(none(vec![holder("newborn", 9)]), &roster),
            AfterClaim::Wait
        );
    }

    #[test]
    fn only_what_the_store_of_the_job_alone_can_say_needs_no_look_at_which_store_it_is() {
        use Reason::{Broken, Complete, Dropped, Empty, Missing, Superseded};
        let may_be = [Empty, Complete, Dropped, Superseded, Broken, Missing].map(Reason::may_be_any_stores);
        assert_eq!(may_be, [false, false, true, true, true, true]);
    }

    #[test]
    fn the_dead_are_noticed_while_there_is_still_work_to_claim() {
        let grant = Grant {
            lease: lease(4, 6, 0),
            committed: 0,
            failed: 0,
            cursor: 6,
            count: 9,
            holders: vec![holder("alive", 1), holder("dead", 2)],
            tasks: ["", ""].into_iter().collect(),
        };
        let next = after_claim(Claim::Lease(grant.clone()), &roster(5, &["alive"]));
        assert_eq!(next, AfterClaim::Run(grant, vec![holder("dead", 2)]));
    }

    #[test]
    fn a_commit_goes_on_where_the_store_says() {
        let commit = |accepted, leases| Commit {
            accepted,
            standing: Standing::Open,
            committed: 3,
            failed: 0,
            count: 9,
            leases,
        };
        let rest = lease(6, 8, 0);
        let granted = lease(4, 8, 0).range;
        assert_eq!(
            after_commit(&commit(true, vec![lease(0, 2, 0), rest]), granted),
            AfterCommit::Continue(rest)
        );
        assert_eq!(
            after_commit(&commit(false, vec![rest]), granted),
            AfterCommit::Continue(rest)
        );
        let others = vec![lease(0, 4, 0), lease(8, 9, 0)];
        assert_eq!(after_commit(&commit(false, others), granted), AfterCommit::Ended);
    }

    #[test]
    fn what_a_rolled_back_store_leases_again_is_gone_on_with_from_its_beginning() {
        let commit = Commit {
            accepted: true,
            standing: Standing::Open,
            committed: 3,
            failed: 0,
            count: 9,
            leases: vec![lease(7, 8, 0), lease(3, 6, 0)],
        };
        let granted = lease(4, 8, 0).range;
        assert_eq!(
            after_commit(&commit, granted),
            AfterCommit::Continue(lease(3, 6, 0))
        );
    }

    #[test]
    fn whoever_hears_that_all_is_committed_says_so_even_when_the_reply_to_its_first_commit_was_lost() {
        for accepted in [true, false] {
            let commit = Commit {
                accepted,
                standing: Standing::Open,
                committed: 9,
                failed: 0,
                count: 9,
                leases: vec![],
            };
            assert_eq!(after_commit(&commit, lease(5, 9, 0).range), AfterCommit::Complete);
        }
        let gone = Commit {
            accepted: false,
            standing: Standing::Gone,
            committed: 0,
            failed: 0,
            count: 0,
            leases: vec![],
        };
        assert_eq!(after_commit(&gone, lease(5, 9, 0).range), AfterCommit::Ended);
    }

    #[test]
    fn a_job_is_hopeless_when_its_first_tasks_all_failed() {
        let fifth: Percent = "20%".parse().unwrap();
        assert!(has_only_failed(2, 2, 10, fifth));
        assert!(!has_only_failed(1, 1, 10, fifth), "too few to tell");
        assert!(!has_only_failed(5, 4, 10, fifth), "one of them succeeded");
        assert!(!has_only_failed(0, 0, 0, fifth));
        assert!(!has_only_failed(10, 10, 10, Percent::ZERO));
    }

    #[test]
    fn only_a_single_task_is_given_up() {
        assert_eq!(treatment(&lease(3, 4, 5), 5), Treatment::GiveUp);
        assert_eq!(treatment(&lease(3, 4, 4), 5), Treatment::Run);
        assert_eq!(treatment(&lease(3, 5, 9), 5), Treatment::Run);
        assert_eq!(treatment(&lease(3, 4, 99), 0), Treatment::Run);
    }
}
