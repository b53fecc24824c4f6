//! The group of a job, which is told that the job is done, and joined by whoever finds it complete.
//!
//! ```text
//! every sink has it ─► noted: where it is ─► uploaded ─┐
//!                                            cncl ─────┼─► pending becomes done ─► is it closed, and nothing pending?
//!                                                      │     one transaction: joined;…;then=<ids>, and each is created
//!                                                      │     open each ─► the group's znodes go
//!                                                      └──────────────────────────────────────────► drop ─► delete
//! ```
//!
//! Nothing of this is an event that somebody must hear: the job that finds the group complete is there until the group is
//! gone, and whoever resumes it finds the same.

use std::ops::ControlFlow;

use distjob_core::{
    Conclusion, GroupEntry, GroupName, JobState,
    group::{DONE_BYTES_MAX, GroupStep},
};
use distjob_runtime::{
    drill,
    zk::{Joining, Lock, Settling},
};

use super::{Pipeline, Trouble, follow::Scope};
use crate::then::Outcome;

/// What is said of so many members is in memory at a time.
const MEMBERS_AT_ONCE: usize = 200;

impl Pipeline {
    /// Notes for the job's group what nobody will know who resumes the job later.
    pub(super) async fn note_outcome(&self, lock: &Lock, outcome: &Outcome) -> Result<(), Trouble> {
        if let Some(group) = &self.entry.data.ties.group {
            let about = outcome.to_json(DONE_BYTES_MAX);
            self.tools.ledger.note_in_group(lock, group, &about).await?;
            drill::point("noted");
        }
        Ok(())
    }

    /// Tells the group of the job, which is uploaded or cancelled, that it is done, and joins a group that is complete.
    /// `Break` when the job is not this watcher's any more. May be repeated.
    pub(super) async fn settle_in_group(&self, lock: &Lock) -> Result<ControlFlow<()>, Trouble> {
        let Some(name) = &self.entry.data.ties.group else {
            return Ok(ControlFlow::Continue(()));
        };
        let ledger = &self.tools.ledger;
        let outcome = self.outcome_by_znode();
        if self.entry.data.state == JobState::Cancelled {
            // It may have been cancelled when it was delivered and not uploaded: what was noted then does not count.
            self.note_outcome(lock, &outcome).await?;
        }
        let about = outcome.to_json(DONE_BYTES_MAX);
        let settled = ledger.settle_in_group(lock, name, &about).await?;
        if settled == Settling::LockLost {
            return Ok(ControlFlow::Break(()));
        }
        drill::point("settled");
        while let Some(look) = ledger.look_at_group(name).await? {
            match look.step() {
                GroupStep::Join if settled == Settling::Done => {
                    if self.join(lock, name, &look.group).await? == Joining::LockLost {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                // A stranger may have been the one who joined it, and who was taken away with other members when somebody
                // died of that.
                GroupStep::CleanUp => {
                    self.open_follow_ups(&look.group.data.then).await?;
                    ledger.remove_group(name, &look.group).await?;
                    tracing::info!(job.id = %self.id, group = %name, "the group is joined");
                    break;
                }
                GroupStep::Join | GroupStep::Leave => break,
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// What is known of the job's end when its result is not at hand.
    fn outcome_by_znode(&self) -> Outcome {
        let data = &self.entry.data;
        let conclusion = match data.state {
            JobState::Cancelled => Conclusion::Cancelled,
            // A watcher of another make said no more than that it is delivered.
            _ => data.conclusion.unwrap_or(Conclusion::Succeeded),
        };
        Outcome::of_entry(&self.id, &self.entry, conclusion)
    }

    /// Creates what follows the group that looks like `group`: closed, and all of its members done.
    async fn join(&self, lock: &Lock, name: &GroupName, group: &GroupEntry) -> Result<Joining, Trouble> {
        let ledger = &self.tools.ledger;
        let mut follow_ups = self.follow_ups(Scope::Group(name, group.life));
        if !follow_ups.is_empty() {
            let members = ledger.done_members(name).await?;
            for some in members.chunks(MEMBERS_AT_ONCE) {
                for about in ledger.done_data(name, some).await?.into_iter().flatten() {
                    self.add_to_all(&mut follow_ups, &about).await?;
                }
            }
            self.stage_rest(&mut follow_ups).await?;
        }
        drill::point("join-staged");
        let created = self.created_with_group(&follow_ups, name).await?;
        let joined = ledger.join_group(lock, name, group, &created).await?;
        if joined == Joining::Done {
            self.tell_of_follow_ups(&created);
            drill::point("joined");
        }
        Ok(joined)
    }
}
