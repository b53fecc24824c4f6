//! What must hold in every run, whatever goes wrong in it. One file an invariant.
//!
//! Each looks at the [`Evidence`] of a run that is over: what the world outside saw, what the ledger did in which order,
//! what the store recorded. None trusts what a daemon says of itself.

mod deaths;
mod deliveries;
mod end;
mod endings;
mod executions;
mod flows;
mod groups;
mod ledger;
mod leftovers;
mod names;
mod outcomes;

use std::{collections::BTreeMap, fmt, sync::Arc};

use distjob_core::{JobData, JobId, Layout, Token, znode::Role};
use distjob_runtime::chance;
use tokio::time::Instant;

use crate::{
    history::Attempt,
    network::Node,
    plan::Plan,
    redis::Record,
    shelf::Delivery,
    zookeeper::{Change, Txn, Znode},
};

/// What is known of a run that is over.
#[derive(Debug)]
pub struct Evidence {
    /// What was planned.
    pub plan: Plan,
    /// Who submitted what, and was told what.
    pub attempts: Vec<Attempt>,
    /// Which ids somebody cancelled.
    pub cancelled: Vec<JobId>,
    /// How often each task, of a submission and with an index, was begun.
    pub executions: BTreeMap<(u32, u32), u32>,
    /// All that the ledger did, in order.
    pub log: Vec<Arc<Txn>>,
    /// What stands in the ledger after all.
    pub znodes: BTreeMap<String, Znode>,
    /// What the store recorded.
    pub store: Record,
    /// What stands in the store after all, by job, but for tombstones and the ledger mark.
    pub keys: Vec<(JobId, String)>,
    /// The lists of failed tasks that stand in the store after all.
    pub failed_lists: BTreeMap<(JobId, Token), Vec<Vec<u8>>>,
    /// What watchers delivered, in order.
    pub deliveries: Vec<Delivery>,
    /// Files that were neither delivered nor removed.
    pub partials: Vec<String>,
    /// What was not over when there had been time enough.
    pub unfinished: Vec<String>,
    /// Panics of daemons.
    pub panics: u64,
    /// Where the ledger stands.
    pub layout: Layout,
    /// When all that began.
    pub began: Began,
}

/// A moment by both clocks of a run.
#[derive(Clone, Copy, Debug)]
pub struct Began {
    /// By the one that measures.
    pub at: Instant,
    /// By the one that tells the date, in milliseconds since 1970.
    pub date_ms: i64,
}

impl Began {
    /// This moment.
    #[must_use]
    pub fn now() -> Self {
        Self {
            at: Instant::now(),
            date_ms: i64::try_from(chance::since_1970().as_millis()).unwrap_or(i64::MAX),
        }
    }

    /// A later moment as a date.
    #[must_use]
    pub fn date_of(&self, at: Instant) -> i64 {
        let elapsed = at.saturating_duration_since(self.at);
        self.date_ms + i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
    }
}

/// An invariant does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which one.
    pub invariant: &'static str,
    /// In what.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}

/// Finds what does not hold.
type Check = fn(&Evidence) -> Vec<String>;

/// All invariants, with their names.
const ALL: [(&str, Check); 11] = [
    ("the ledger follows its table", ledger::check),
    ("a job is delivered once, whole and right", deliveries::check),
    ("a job has come to what its lines say", endings::check),
    (
        "what follows a job is created once, with its results",
        flows::check,
    ),
    ("a group is joined once, when all of it is done", groups::check),
    ("a task has one outcome", outcomes::check),
    ("a task runs once where nothing fails", executions::check),
    ("only the dead are taken for dead", deaths::check),
    ("a member's name is fresh", names::check),
    ("every job ends", end::check),
    ("nothing is left", leftovers::check),
];

/// Checks all invariants.
#[must_use]
pub fn check(evidence: &Evidence) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (invariant, check) in ALL {
        violations.extend(
            check(evidence)
                .into_iter()
                .map(|what| Violation { invariant, what }),
        );
    }
    violations
}

/// One life of a job, as the ledger's log shows it.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) id: JobId,
    /// The creation zxid of its znode.
    pub(crate) born: i64,
    /// What it said, from its creation on. Nothing at the end when it was deleted.
    pub(crate) states: Vec<Option<JobData>>,
}

impl Evidence {
    /// The job that a change is about.
    pub(crate) fn job_of(&self, change: &Change) -> Option<JobId> {
        let name = change.path.strip_prefix(&self.layout.jobs())?.strip_prefix('/')?;
        JobId::new(name).ok()
    }

    /// All lives of all jobs, in the order of their births.
    pub(crate) fn lives(&self) -> Vec<Life> {
        // One transaction may create several jobs.
        let mut lives: BTreeMap<(i64, JobId), Life> = BTreeMap::new();
        for change in self.log.iter().flat_map(|txn| &txn.changes) {
            let Some(id) = self.job_of(change) else { continue };
            let data = change.after.as_deref().map(|data| JobData::parse(data).ok());
            let life = lives.entry((change.life, id.clone())).or_insert_with(|| Life {
                id,
                born: change.life,
                states: Vec::new(),
            });
            match data {
                // No daemon writes what cannot be read, and the check of the ledger says so.
                Some(None) => {}
                Some(data) => life.states.push(data),
                None => life.states.push(None),
            }
        }
        lives.into_values().collect()
    }

    /// What runs on a node; nothing for submitters and the operator.
    pub(crate) fn role_of(&self, node: Node) -> Option<Role> {
        if self.plan.executors.contains(&node) {
            Some(Role::Executor)
        } else {
            self.plan.watchers.contains(&node).then_some(Role::Watcher)
        }
    }
}
