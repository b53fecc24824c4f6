//! What the znode of a job says: `<state>=<count>[;key=value]…`.
//!
//! `subm=5000` is complete: 5,000 tasks, queue `default`, pushed to the list whose key is the job's id. The keys that
//! distjob knows are:
//!
//! | key | from | says |
//! |---|---|---|
//! | `queue` | submitter | the kind of its work |
//! | `from` | submitter | the token of the submission attempt |
//! | `deadline` | submitter | until when its tasks may run, in milliseconds since 1970 |
//! | `why` | watcher, in `lost` | why it is lost |
//! | `failed` | watcher, in `uploaded` | how many of its tasks failed |
//! | `conclusion` | watcher, in `uploaded` | what that means for the job, a [`Conclusion`] |
//! | `kept` | watcher, in `uploaded` | under which token the failed tasks are [kept](crate::submission::Kept) |
//! | `then` | watcher, in `uploaded` | the ids of the follow-ups that were created with that |
//! | `parent` | watcher, of a follow-up | the id of the job that it follows |
//! | `depth` | watcher, of a follow-up | how many jobs it follows, one after the other |
//! | `joins` | watcher, of a follow-up | the [group](crate::group) whose results are its tasks |
//! | `group` | submitter | the [group](crate::group) that it is a member of |
//! | `skip` | operator | sinks that need not have it |
//!
//! Keys that it does not know are kept in place, so that programs of different versions can share a ledger.

mod state;
pub(crate) mod text;
mod ties;

#[cfg(test)]
mod tests;

use crate::{Conclusion, Ending, GroupName, JobId, QueueName, SinkName, Source, Token, id::NAME_BYTES_MAX};

pub use self::{
    state::JobState,
    text::JobDataError,
    ties::{Links, Ties},
};

/// Most tasks a job can have. Every count stays exact in Lua's doubles.
pub const TASKS_MAX: u64 = 1 << 48;

/// Longest znode data of a job, in bytes, beside its state and what is said of it in the end: these change, and what is a
/// job when it is submitted must be one until its end.
pub const DATA_BYTES_MAX: usize = 4096;

/// Most follow-ups that one job has.
pub const FOLLOW_UPS_MAX: usize = 8;

/// Most sinks that may be skipped for one job.
pub const SKIPS_MAX: usize = 16;

/// Longest reason why a job is lost, in characters.
const WHY_CHARS_MAX: usize = 200;

/// Longest znode data that is looked at, in bytes: with the longest state, reason, conclusion and lists.
pub const TEXT_BYTES_MAX: usize = DATA_BYTES_MAX
    + "uploaded;why=;failed=281474976710656;conclusion=partly-failed;kept=;then=;skip=".len()
    + NAME_BYTES_MAX
    + 4 * WHY_CHARS_MAX
    + (FOLLOW_UPS_MAX + SKIPS_MAX) * (NAME_BYTES_MAX + 1);

/// The data of a job's znode.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JobData {
    /// How far it has come.
    pub state: JobState,
    /// How many tasks it has.
    pub count: u64,
    /// The kind of its work.
    pub queue: QueueName,
    /// Where its tasks were pushed.
    pub source: Source,
    /// Until when its tasks may run, in milliseconds since 1970; those that did not end by then have failed.
    pub deadline_ms: Option<u64>,
    /// Why it is lost, when it is.
    pub why: Option<String>,
    /// How many of its tasks failed, when it is uploaded.
    pub failed: Option<u64>,
    /// What became of it, when it is uploaded.
    pub conclusion: Option<Conclusion>,
    /// Where its failed tasks are kept, when it is uploaded and they are.
    pub kept: Option<Token>,
    /// What ties it to other jobs, and which sinks need not have it.
    pub ties: Ties,
    /// Keys that this version does not know, with their values.
    pub unknown: Vec<(String, String)>,
}

impl JobData {
    /// A job as its submitter creates it.
    #[must_use]
    pub const fn submitted(count: u64, queue: QueueName, source: Source) -> Self {
        Self {
            state: JobState::Submitted,
            count,
            queue,
            source,
            deadline_ms: None,
            why: None,
            failed: None,
            conclusion: None,
            kept: None,
            ties: Ties::none(),
            unknown: Vec::new(),
        }
    }

    /// A job that follows job `id`, which looks like `self`.
    #[must_use]
    pub fn follow_up(&self, id: &JobId, count: u64, queue: QueueName, token: Token) -> Self {
        Self {
            ties: Ties::none().with(|links| {
                links.parent = Some(id.clone());
                links.depth = self.ties.depth.saturating_add(1);
            }),
            ..Self::submitted(count, queue, Source::Staged(token))
        }
    }

    /// The same follow-up, whose tasks are the results of a whole group.
    #[must_use]
    pub fn joining(self, group: GroupName) -> Self {
        Self {
            ties: self.ties.with(|links| links.joins = Some(group)),
            ..self
        }
    }

    /// The same job as a member of a group.
    #[must_use]
    pub fn in_group(self, group: GroupName) -> Self {
        Self {
            ties: self.ties.with(|links| links.group = Some(group)),
            ..self
        }
    }

    /// The same job in another state; what an earlier state said of its end is forgotten.
    #[must_use]
    pub fn in_state(&self, state: JobState) -> Self {
        Self {
            state,
            why: None,
            failed: None,
            conclusion: None,
            kept: None,
            ties: self.ties.with(|links| links.then.clear()),
            ..self.clone()
        }
    }

    /// The same job, delivered: so many of its tasks failed, that was concluded from it, and there they are kept.
    #[must_use]
    pub fn uploaded(&self, failed: u64, conclusion: Conclusion, kept: Option<Token>) -> Self {
        Self {
            failed: Some(failed),
            conclusion: Some(conclusion),
            kept,
            ..self.in_state(JobState::Uploaded)
        }
    }

    /// The same job, [uploaded](Self::uploaded), with the follow-ups that are created in the same transaction.
    #[must_use]
    pub fn followed_by(self, then: Vec<JobId>) -> Self {
        Self {
            ties: self.ties.with(|links| links.then = then),
            ..self
        }
    }

    /// The same job, for which one more sink is to be skipped; `None` when there are [`SKIPS_MAX`] of them already.
    #[must_use]
    pub fn skipping(&self, sink: &SinkName) -> Option<Self> {
        let mut skipped = self.clone();
        if !self.ties.skip.contains(sink) {
            if self.ties.skip.len() >= SKIPS_MAX {
                return None;
            }
            skipped.ties.skip.push(sink.clone());
        }
        Some(skipped)
    }

    /// How it ended, as far as its data tells: of a job that is cancelled, or uploaded by somebody who said more.
    #[must_use]
    pub fn ending(&self) -> Option<Ending> {
        let ending = |failed, conclusion| Ending {
            count: self.count,
            failed,
            conclusion,
        };
        match self.state {
            JobState::Cancelled => Some(ending(0, Conclusion::Cancelled)),
            JobState::Uploaded => Some(ending(self.failed?, self.conclusion?)),
            _ => None,
        }
    }

    /// The same job, lost. What the data format cannot hold is taken out of `why`, and it is cut at 200 characters.
    #[must_use]
    pub fn lost(&self, why: &str) -> Self {
        let why = why
            .chars()
            .map(|c| if c == ';' || c.is_control() { ',' } else { c })
            .take(WHY_CHARS_MAX)
            .collect();
        Self {
            why: Some(why),
            ..self.in_state(JobState::Lost)
        }
    }
}
