//! Whether a ledger and a store belong together.
//!
//! The store carries the *ledger mark*: the creation zxid of the directory of jobs. A store that was emptied, or that
//! belongs to another root, must never make distjob believe that the data of jobs is gone for good; only an operator
//! can know that.

use crate::Zxid;

/// What the mark in the store says about the ledger that a daemon is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Belonging {
    /// The store belongs to this ledger.
    Ours,
    /// The store has no mark, and no job was ever created in this ledger: nothing can be lost by marking the store.
    Unclaimed,
    /// The store has no mark although the ledger has been used: it was emptied, or it is the wrong one.
    Unmarked,
    /// The store belongs to another ledger.
    Foreign(Zxid),
}

impl Belonging {
    /// Judges the store's `mark` by the ledger's creation zxid and by whether a job was ever created in it.
    #[must_use]
    pub fn judge(mark: Option<Zxid>, ledger: Zxid, ledger_is_unused: bool) -> Self {
        match mark {
            Some(mark) if mark == ledger => Self::Ours,
            Some(mark) => Self::Foreign(mark),
            None if ledger_is_unused => Self::Unclaimed,
            None => Self::Unmarked,
        }
    }

    /// What to tell an operator; `None` when there is nothing to tell.
    #[must_use]
    pub fn complaint(self) -> Option<String> {
        let advice = "nothing is declared lost; check [zookeeper] connect and root and [redis] url and prefix, or, when \
                      the store's data is really gone for good, run: distjobctl accept-store";
        match self {
            Self::Ours | Self::Unclaimed => None,
            Self::Unmarked => Some(format!(
                "redis has no ledger mark although jobs were created in this ledger: it was emptied, or it is the \
                 wrong one; {advice}"
            )),
            Self::Foreign(mark) => Some(format!(
                "redis belongs to another ledger (its mark is {mark}); {advice}"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_without_a_mark_is_taken_only_by_a_ledger_without_a_past() {
        let ledger = Zxid::new(7);
        assert_eq!(Belonging::judge(None, ledger, true), Belonging::Unclaimed);
        assert_eq!(Belonging::judge(None, ledger, false), Belonging::Unmarked);
        assert_eq!(Belonging::judge(Some(ledger), ledger, false), Belonging::Ours);
        assert_eq!(
            Belonging::judge(Some(Zxid::new(8)), ledger, true),
            Belonging::Foreign(Zxid::new(8))
        );
    }

    #[test]
    fn a_complaint_says_what_to_do() {
        assert!(
            Belonging::Unmarked
                .complaint()
                .is_some_and(|text| text.contains("distjobctl accept-store"))
        );
        assert_eq!(Belonging::Ours.complaint(), None);
    }
}
