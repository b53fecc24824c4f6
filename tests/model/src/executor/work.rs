//! A lease in hand: `lease/run.rs` and `grip.rs` of `executor-d`.

use distjob_core::{
    Holder, JobId, Lease, TaskRange, Zxid,
    executor::{AfterCommit, Treatment, after_commit, treatment},
    store::{Commit, Grant, Payloads},
};

use crate::{
    request::{Request, Script},
    rules::Rules,
};

/// A lease in hand.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Work {
    pub(crate) id: JobId,
    pub(crate) life: Zxid,
    /// As it was granted: the payloads are of these tasks.
    lease: Lease,
    tasks: Payloads,
    /// What of it was not given back.
    kept: Option<TaskRange>,
    /// The tasks that have not been run.
    todo: Vec<u64>,
    /// What is being given back.
    releasing: Option<TaskRange>,
}

/// How a lease goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goes {
    /// There is more to do.
    On,
    /// All is done, or somebody else's.
    Over,
    /// All is done, but the store leases us some of it again: the next claim brings it back.
    Astray,
    /// All is done, and the job is complete.
    Complete,
}

impl Work {
    pub(super) fn new(id: JobId, life: Zxid, grant: Grant) -> Self {
        let range = grant.lease.range;
        Self {
            id,
            life,
            lease: grant.lease,
            tasks: grant.tasks,
            kept: Some(range),
            todo: (range.lo()..range.hi()).collect(),
            releasing: None,
        }
    }

    /// What is in hand.
    pub(super) const fn kept(&self) -> Option<TaskRange> {
        self.kept
    }

    /// The tasks that may be run next.
    pub(super) fn next(&self, rules: &Rules) -> &[u64] {
        let is_busy = self.releasing.is_some();
        let count = if rules.bounds.disorder { self.todo.len() } else { 1 };
        if is_busy {
            &[]
        } else {
            &self.todo[..count.min(self.todo.len())]
        }
    }

    /// From where on it may give back its end: tasks that have not been run, with nothing behind them that has.
    pub(super) fn releases(&self) -> Vec<u64> {
        if let Some(range) = self.releasing {
            return vec![range.lo()];
        }
        let end = self.kept.map_or(0, TaskRange::hi);
        let from_end = self.todo.iter().rev().zip(1..);
        let tail = from_end.take_while(|(index, distance)| **index + distance == end);
        tail.map(|(index, _)| *index).collect()
    }

    pub(super) fn has_todo(&self, index: u64) -> bool {
        self.todo.contains(&index)
    }

    pub(super) fn is_releasing(&self, index: u64) -> bool {
        self.releasing.is_some_and(|range| range.lo() == index)
    }

    /// Lets go of the tasks from `index` on, before they are given back: the store may lease them to us again at once.
    pub(super) fn let_go(&mut self, index: u64) {
        self.releasing = self.kept.and_then(|kept| kept.after(index));
        self.kept = self.kept.and_then(|kept| kept.before(index));
        self.todo.retain(|todo| *todo < index);
    }

    /// What running this task kills.
    pub(super) fn treatment(&self, rules: &Rules) -> Treatment {
        treatment(&self.lease, rules.poison_after())
    }

    /// Runs a task, and records it: commits of one task are the finest cut.
    pub(super) fn commit(&self, holder: &Holder, index: u64, rules: &Rules) -> Request {
        let outcome = match self.treatment(rules) {
            Treatment::Run => self
                .tasks
                .get((index - self.lease.range.lo()) as usize)
                .map(<[u8]>::to_vec),
            Treatment::GiveUp => None,
        };
        let commit = Script::Commit {
            life: self.life,
            holder: holder.clone(),
            lo: index,
            outcomes: vec![outcome],
        };
        Request::Store(self.id.clone(), commit)
    }

    pub(super) fn release(&self, holder: &Holder) -> Option<Request> {
        let release = Script::Release {
            life: self.life,
            holder: holder.clone(),
            range: self.releasing?,
        };
        Some(Request::Store(self.id.clone(), release))
    }

    /// Takes the answer to the commit of a task, or to the release of some.
    pub(super) fn hear(&mut self, ran: Option<u64>, answer: &Commit) -> Goes {
        match ran {
            Some(index) => self.todo.retain(|todo| *todo != index),
            None => self.releasing = None,
        }
        match self.kept.map(|kept| after_commit(answer, kept)) {
            Some(AfterCommit::Complete) => Goes::Complete,
            Some(AfterCommit::Ended) | None => Goes::Over,
            Some(AfterCommit::Continue(_)) if self.todo.is_empty() => Goes::Astray,
            Some(AfterCommit::Continue(_)) => Goes::On,
        }
    }
}

/// Ranges as one list in which no two meet: in the store, what was granted apart may be one lease.
pub(super) fn joined(ranges: impl Iterator<Item = TaskRange>) -> Vec<TaskRange> {
    let mut ranges: Vec<TaskRange> = ranges.collect();
    ranges.sort();
    let mut joined: Vec<TaskRange> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if last.hi() == range.lo() => {
                *last = TaskRange::new(last.lo(), range.hi()).unwrap_or(range);
            }
            _ => joined.push(range),
        }
    }
    joined
}
