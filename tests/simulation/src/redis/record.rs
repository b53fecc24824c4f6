//! What the store tells those who check a run.

use std::collections::{BTreeMap, BTreeSet};

use distjob_core::{Holder, JobId, TaskRange, Zxid, store::model::Model};
use tokio::time::Instant;

/// What happened in the store.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Who committed each task whose outcome stands, by job and life. An outcome that a loss took away stands no more;
    /// one of a job that was dropped does.
    pub outcomes: BTreeMap<(JobId, Zxid), BTreeMap<u64, Holder>>,
    /// Ranges that were given back because their holder was held for dead.
    pub dead_freed: Vec<DeadFreed>,
    /// Jobs of which writes were lost.
    pub damaged: BTreeSet<JobId>,
    /// What must not happen in any store, in the order in which it was noticed.
    pub violations: Vec<String>,
    /// How often things happened.
    pub counts: Counts,
}

/// Ranges of a holder were given back with a death counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadFreed {
    /// When.
    pub at: Instant,
    /// Of which job.
    pub id: JobId,
    /// In which life.
    pub life: Zxid,
    /// Who was dead.
    pub holder: Holder,
    /// How many ranges.
    pub ranges: u64,
}

/// How often things happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Scripts that ran.
    pub scripts: u64,
    /// Calls that were refused.
    pub refused: u64,
    /// Writes that were lost.
    pub lost_writes: u64,
    /// Tasks whose outcome was recorded; one that was lost and recorded again counts twice.
    pub outcomes: u64,
    /// Commits that came too late, or twice.
    pub commits_refused: u64,
}

impl Record {
    /// Outcomes took effect.
    pub(super) fn commit(&mut self, id: &JobId, life: Zxid, holder: &Holder, range: TaskRange) {
        self.counts.outcomes += range.len();
        let outcomes = self.outcomes.entry((id.clone(), life)).or_default();
        for index in range.lo()..range.hi() {
            if let Some(before) = outcomes.insert(index, holder.clone()) {
                self.violations.push(format!(
                    "two outcomes of task {index} of {id} (life {life}) took effect: by {before} and by {holder}"
                ));
            }
        }
    }

    /// They were lost.
    pub(super) fn uncommit(&mut self, id: &JobId, life: Zxid, range: TaskRange) {
        if let Some(outcomes) = self.outcomes.get_mut(&(id.clone(), life)) {
            outcomes.retain(|index, _| !(range.lo()..range.hi()).contains(index));
        }
    }

    /// A job's pieces must be a partition, whatever was done.
    pub(super) fn check(&mut self, id: &JobId, model: &Model, script: &str) {
        if let Err(violation) = model.partition() {
            self.violations.push(format!(
                "{id} is no partition any more after {script}: {violation}"
            ));
        }
    }
}
