//! What follows a job is created with the end of that job and never again, has exactly the tasks that come of its results,
//! and nothing else follows.

use std::collections::{BTreeMap, BTreeSet};

use distjob_core::{JobData, JobId, JobState, Zxid};
use watcher_d::{Results, StepConfig};

use super::{Evidence, Life};
use crate::shelf::{Delivery, Line};

/// When the ledger said what of a life of a job.
#[derive(Default)]
struct Dates {
    /// The transactions that created a job of this id.
    created: BTreeMap<JobId, Vec<i64>>,
    /// The transaction that made a life uploaded.
    uploaded: BTreeMap<(i64, JobId), i64>,
}

pub(super) fn check(evidence: &Evidence) -> Vec<String> {
    let (lives, dates) = (evidence.lives(), dates(evidence));
    let mut expected = BTreeSet::new();
    let mut violations = Vec::new();
    for life in &lives {
        let Some(data) = in_state(life, JobState::Uploaded) else {
            continue;
        };
        let followers = followers(evidence, life, data);
        let ids: BTreeSet<_> = followers.iter().map(|follower| follower.id.clone()).collect();
        if ids != data.ties.then.iter().cloned().collect() {
            violations.push(format!(
                "job {} is followed by {:?} and not by {ids:?}",
                life.id, data.ties.then
            ));
        }
        for follower in &followers {
            if let Err(why) = check_follower(evidence, &lives, &dates, life, follower) {
                violations.push(format!(
                    "{} of queue {}, which follows {}, {why}",
                    follower.id, data.queue, life.id
                ));
            }
        }
        expected.extend(ids);
    }
    let others = lives
        .iter()
        .filter(|life| evidence.follows(&life.id) && !expected.contains(&life.id) && !joins(life));
    violations.extend(others.map(|life| format!("job {} follows nothing that was delivered", life.id)));
    violations
}

/// Whether it follows a group, which is another matter.
fn joins(life: &Life) -> bool {
    let mut said = life.states.iter().flatten();
    said.any(|data| data.ties.joins.is_some())
}

/// A job that must follow.
struct Follower<'a> {
    id: JobId,
    step: &'a StepConfig,
    depth: u32,
    tasks: Vec<&'a [u8]>,
}

/// What must follow that life of a job, which was uploaded as `data`.
fn followers<'a>(evidence: &'a Evidence, life: &Life, data: &JobData) -> Vec<Follower<'a>> {
    let Some(delivery) = evidence.last_delivery(life) else {
        // That it has no file is said elsewhere.
        return Vec::new();
    };
    let steps = evidence.plan.flows.get(&data.queue).into_iter().flatten();
    let follower = |(name, step): (&'a String, &'a StepConfig)| {
        let tasks: Vec<_> = delivery
            .lines
            .iter()
            .filter_map(|line| task_of(step, line))
            .collect();
        let id = life.id.follow_up(Zxid::from(life.born), name);
        let depth = data.ties.depth + 1;
        (!step.join && !tasks.is_empty()).then_some(Follower {
            id,
            step,
            depth,
            tasks,
        })
    };
    steps.filter_map(follower).collect()
}

/// The task that must come of a line.
fn task_of<'a>(step: &StepConfig, line: &'a Line) -> Option<&'a [u8]> {
    match (step.results, &line.outcome) {
        (Results::Ok | Results::All, Ok(value)) => Some(value),
        (Results::Err | Results::All, Err(error)) => Some(error),
        (Results::Ok, Err(_)) | (Results::Err, Ok(_)) => None,
    }
}

/// Whether a job is what must follow `parent`. The error fits behind its id.
fn check_follower(
    evidence: &Evidence,
    lives: &[Life],
    dates: &Dates,
    parent: &Life,
    follower: &Follower<'_>,
) -> Result<(), String> {
    let created = dates.created.get(&follower.id).map_or(&[][..], Vec::as_slice);
    if created.len() != 1 || created.first() != dates.uploaded.get(&(parent.born, parent.id.clone())) {
        return Err(format!("was created in the transactions {created:x?}"));
    }
    let Some(life) = lives.iter().find(|life| life.id == follower.id) else {
        return Err("never was".to_owned());
    };
    let first = life.states.first().and_then(Option::as_ref);
    let is_right = first.is_some_and(|data| {
        Some(&data.queue) == follower.step.queue.as_ref()
            && data.count == follower.tasks.len() as u64
            && data.ties.parent.as_ref() == Some(&parent.id)
            && data.ties.depth == follower.depth
    });
    if !is_right {
        return Err(format!(
            "was created as {first:?}, with {} tasks",
            follower.tasks.len()
        ));
    }
    let is_damaged = |id| evidence.store.damaged.contains(id);
    match evidence.last_delivery(life) {
        Some(delivery) => check_lines(delivery, follower, is_damaged(&parent.id)),
        None if in_state(life, JobState::Lost).is_some() && is_damaged(&follower.id) => Ok(()),
        // What did not end is said elsewhere.
        None if !evidence.unfinished.is_empty() => Ok(()),
        None => Err("was not delivered, though the store lost nothing of it".to_owned()),
    }
}

/// Whether a file of a follow-up has the tasks that it must have, each with the value that these have in a run. Where the
/// store has lost writes of the job that it follows, what stands in its last file may be younger than what follows.
fn check_lines(delivery: &Delivery, follower: &Follower<'_>, is_damaged: bool) -> Result<(), String> {
    let tasks = delivery.lines.iter().map(|line| line.task.as_slice());
    if !is_damaged && !tasks.eq(follower.tasks.iter().copied()) {
        return Err(format!(
            "has other tasks than come of its results: {:?}",
            delivery.lines
        ));
    }
    for line in delivery.lines.iter() {
        let value = [b"value of ", line.task.as_slice()].concat();
        if line.outcome != Ok(value) {
            return Err(format!("has a wrong outcome: {line:?}"));
        }
    }
    Ok(())
}

fn dates(evidence: &Evidence) -> Dates {
    let mut dates = Dates::default();
    for txn in &evidence.log {
        for change in &txn.changes {
            let Some(id) = evidence.job_of(change) else {
                continue;
            };
            if change.before.is_none() {
                dates.created.entry(id).or_default().push(txn.zxid);
            } else if let Some(Ok(data)) = change.after.as_deref().map(JobData::parse)
                && data.state == JobState::Uploaded
            {
                dates.uploaded.insert((change.life, id), txn.zxid);
            }
        }
    }
    dates
}

/// What the job said in that state.
fn in_state(life: &Life, state: JobState) -> Option<&JobData> {
    life.states.iter().flatten().find(|data| data.state == state)
}

impl Evidence {
    /// Whether a job of that id follows another one.
    pub(super) fn follows(&self, id: &JobId) -> bool {
        self.log.iter().flat_map(|txn| &txn.changes).any(|change| {
            let data = change.after.as_deref().map(JobData::parse);
            self.job_of(change).as_ref() == Some(id)
                && matches!(data, Some(Ok(data)) if data.ties.parent.is_some())
        })
    }

    /// What was delivered of that life of a job at last.
    pub(super) fn last_delivery(&self, life: &Life) -> Option<&Delivery> {
        let born = format!("{:016x}", life.born);
        let mut deliveries = self.deliveries.iter();
        deliveries.rfind(|delivery| delivery.id == life.id && delivery.manifest.life == born)
    }
}
