//! The ledger: which change of a job's state is allowed, to whom.
//!
//! | from | to | who |
//! |---|---|---|
//! | – | `subm` | submitter |
//! | `subm` | `prcd` | executor: the store answered that there is nothing left to claim |
//! | `prcd` `zpd` | `subm` | watcher with the lock: it is not complete after all |
//! | `prcd` `zpd` | `lost` | watcher with the lock: the store cannot have it any more |
//! | `prcd` | `zpd` | watcher with the lock: its archive is durable |
//! | `prcd` `zpd` | `uploaded` | watcher with the lock: every sink has it |
//! | `uploaded` | deleted | watcher with the lock: its keys are dropped |
//! | `subm` `prcd` `zpd` `lost` | `cncl` | operator; its own submitter, when it could not be opened |
//! | `cncl` | deleted | watcher with the lock: opened and dropped, so that nothing opens it later |
//! | `lost` | `subm` | operator: the store was restored |
//!
//! Every write names the version that it read. After an unclear reply the znode is read again, and what it says holds.

use crate::{JobData, JobState, Zxid};

/// Who asks for a transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Actor {
    /// Runs tasks.
    Executor,
    /// Holds the job's lock, in the session that it acts in.
    LockHolder,
    /// A person, or the job's own submitter when it gives up.
    Operator,
}

/// Whether `actor` may take a job from one state to another (`None`: deleted).
#[must_use]
#[expect(
    clippy::match_like_matches_macro,
    reason = "one line an edge of the table above"
)]
pub const fn allows(actor: Actor, from: JobState, to: Option<JobState>) -> bool {
    use JobState::{Cancelled, Lost, Processed, Submitted, Uploaded, Zipped};
    match (actor, from, to) {
        (Actor::Executor, Submitted, Some(Processed)) => true,
        (Actor::LockHolder, Processed | Zipped, Some(Submitted | Lost | Uploaded)) => true,
        (Actor::LockHolder, Processed, Some(Zipped)) => true,
        (Actor::LockHolder, Uploaded | Cancelled, None) => true,
        (Actor::Operator, Submitted | Processed | Zipped | Lost, Some(Cancelled)) => true,
        (Actor::Operator, Lost, Some(Submitted)) => true,
        _ => false,
    }
}

/// A job as a read of its znode showed it: what a versioned write builds on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JobEntry {
    /// What the znode says.
    pub data: JobData,
    /// Its creation zxid: which life of the id this is. `J` in the scripts.
    pub life: Zxid,
    /// The data's version.
    pub version: i32,
    /// When it was created, in milliseconds since 1970 by ZooKeeper's clock. For people only: no rule reads it.
    pub created_ms: i64,
}

impl JobEntry {
    /// Whether `later`, read after this one, is the same life of the job with nothing written in between.
    #[must_use]
    pub fn is_unchanged_in(&self, later: &Self) -> bool {
        self.life == later.life && self.version == later.version
    }
}

/// What a read shows after a versioned write whose reply was unclear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Settled {
    /// The write took effect, or somebody wrote the same.
    Done,
    /// It did not, and may be sent again.
    NotDone,
    /// Somebody else changed the job; the old decision is void.
    Overtaken,
}

/// Settles an unclear write from `before` to `state` (`None`: deletion) by what was read `after` it, `None` when the
/// znode is gone.
///
/// A late request can still arrive after this read. It then fails, for it names the version of `before`, or it does
/// what it was meant to do.
#[must_use]
pub fn settle(before: &JobEntry, state: Option<JobState>, after: Option<&JobEntry>) -> Settled {
    match (state, after) {
        (None, None) => Settled::Done,
        (Some(_), None) => Settled::Overtaken,
        (_, Some(after)) if before.is_unchanged_in(after) => Settled::NotDone,
        (None, Some(after)) if after.life != before.life => Settled::Done,
        (Some(state), Some(after)) if after.life == before.life && after.data.state == state => Settled::Done,
        (_, Some(_)) => Settled::Overtaken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(state: &str, life: u64, version: i32) -> JobEntry {
        let data = JobData::parse(state.as_bytes()).unwrap();
        JobEntry {
            data,
            life: Zxid::new(life),
            version,
            created_ms: 0,
        }
    }

    #[test]
    fn a_job_is_deleted_only_from_uploaded_or_cancelled() {
        for actor in [Actor::Executor, Actor::LockHolder, Actor::Operator] {
            for from in JobState::ALL {
                let expected =
                    actor == Actor::LockHolder && matches!(from, JobState::Uploaded | JobState::Cancelled);
                assert_eq!(allows(actor, from, None), expected, "{actor:?} {from}");
            }
        }
    }

    #[test]
    fn nothing_leads_out_of_uploaded_but_its_deletion() {
        for actor in [Actor::Executor, Actor::LockHolder, Actor::Operator] {
            assert!(
                JobState::ALL
                    .into_iter()
                    .all(|to| !allows(actor, JobState::Uploaded, Some(to)))
            );
        }
    }

    #[test]
    fn an_executor_can_do_no_more_than_ask_for_a_look() {
        for from in JobState::ALL {
            for to in JobState::ALL {
                let expected = from == JobState::Submitted && to == JobState::Processed;
                assert_eq!(allows(Actor::Executor, from, Some(to)), expected);
            }
        }
    }

    #[test]
    fn an_unclear_write_is_settled_by_what_is_read() {
        let before = entry("subm=1", 5, 0);
        let processed = Some(JobState::Processed);
        assert_eq!(settle(&before, processed, Some(&before)), Settled::NotDone);
        assert_eq!(
            settle(&before, processed, Some(&entry("prcd=1", 5, 1))),
            Settled::Done
        );
        assert_eq!(
            settle(&before, processed, Some(&entry("cncl=1", 5, 1))),
            Settled::Overtaken
        );
        assert_eq!(settle(&before, processed, None), Settled::Overtaken);
        assert_eq!(
            settle(&before, processed, Some(&entry("prcd=1", 6, 1))),
            Settled::Overtaken
        );
    }

    #[test]
    fn an_id_that_came_back_to_life_shows_that_the_deletion_was_done() {
        let before = entry("uploaded=1", 5, 3);
        assert_eq!(settle(&before, None, None), Settled::Done);
        assert_eq!(settle(&before, None, Some(&entry("subm=1", 6, 0))), Settled::Done);
        assert_eq!(settle(&before, None, Some(&before)), Settled::NotDone);
    }
}
