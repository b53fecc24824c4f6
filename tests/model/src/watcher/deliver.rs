//! From the store's status to the end of a job: `Pipeline::examine`, `feed`, `hand_over`, and the writes of the ledger.

use distjob_core::{
    JobEntry, JobId, JobState,
    ledger::{Settled, settle},
    store::{Read, Status},
    watcher::{Loss, Progress, Verdict, each_row},
};

use super::{Step, Target, Term, Writing, write};
use crate::{
    mutant::Mutant,
    request::{Reply, Row},
    rules::Rules,
};

impl Term {
    /// What a slice brings: `Pipeline::feed`, and the rows as the sink writes them.
    pub(super) fn collect(
        &mut self,
        mut progress: Progress,
        mut rows: Vec<Row>,
        read: Read,
        id: &JobId,
        entry: &JobEntry,
        rules: &Rules,
    ) -> Step {
        let added = match read {
            Read::Slice(slice) => progress.advance(&slice).and_then(|()| {
                each_row(&slice, |row| {
                    rows.push((row.index, row.task.to_vec(), row.outcome.bytes().to_vec()));
                    Ok(())
                })
            }),
            Read::Hole(index) => Err(Loss::Hole(index)),
            Read::Short => Err(Loss::Short),
            Read::Gone => Err(Loss::Missing(0)),
        };
        match added {
            Err(_) if rules.has(Mutant::ProcessedIsTrusted) => self.hand_over(rows, id, entry, rules),
            Err(loss) => Step::Status(Some(loss)),
            Ok(()) if !progress.is_complete() => Step::Read(progress, rows),
            Ok(()) if rules.bounds.archive && entry.data.state == JobState::Processed => {
                write(Target::Zipped(rows))
            }
            Ok(()) => self.hand_over(rows, id, entry, rules),
        }
    }

    /// From a result under a temporary name on: the follow-up's tasks come first.
    pub(super) fn hand_over(&mut self, rows: Vec<Row>, id: &JobId, entry: &JobEntry, rules: &Rules) -> Step {
        if rules.follow_up(id, entry.life).is_some() {
            self.staged += 1;
            Step::Stage(rows)
        } else {
            Step::Holds(rows)
        }
    }

    /// `distjob_runtime::zk::Ledger::write`: what is read after an unclear or refused write decides.
    pub(super) fn after_write(
        &mut self,
        mut step: Writing,
        reply: Reply,
        id: &JobId,
        entry: &mut JobEntry,
        rules: &Rules,
    ) -> Option<Step> {
        let is_done = match reply {
            Reply::Done => true,
            Reply::Job(now) => match settle(entry, step.to.state(), now.as_ref()) {
                Settled::Done if step.unclear => true,
                Settled::NotDone if !step.refused => {
                    step.look = false;
                    return Some(Step::Write(step));
                }
                // Somebody was first, or the lock is lost: the job is as it was, and still the write was refused.
                _ => false,
            },
            refused_or_unclear => {
                step.look = true;
                step.refused = refused_or_unclear == Reply::Refused;
                step.unclear |= refused_or_unclear == Reply::Unclear;
                return Some(Step::Write(step));
            }
        };
        if !is_done {
            return Some(Step::Unlock);
        }
        if let Some(state) = step.to.state() {
            entry.data = entry.data.in_state(state);
            entry.version += 1;
        }
        Some(match step.to {
            Target::Zipped(rows) => self.hand_over(rows, id, entry, rules),
            Target::Uploaded
                if rules.has(Mutant::FollowUpOutsideMulti) && self.has_follow_up(id, entry, rules) =>
            {
                Step::CreateFollowUp
            }
            Target::Uploaded => self.first_step(id, entry, rules),
            Target::Lost(_) | Target::Returned => Step::Unlock,
            Target::Deleted => return None,
        })
    }
}

/// What the store's answer means, `after` a loss was met if there was one.
pub(super) fn after_status(loss: Option<Loss>, entry: &JobEntry, status: &Status, rules: &Rules) -> Step {
    let verdict = match loss {
        None => Verdict::of(entry.data.count, status),
        Some(loss) => Verdict::after(loss, entry.data.count, status),
    };
    match verdict {
        Verdict::Collect => Step::Read(Progress::new(entry.data.count), Vec::new()),
        _ if rules.has(Mutant::ZippedOneWay) && entry.data.state == JobState::Zipped => Step::Unlock,
        Verdict::Return => write(Target::Returned),
        Verdict::Suspect(loss) => write(Target::Lost(loss)),
    }
}
