//! A group that was closed is joined once, when all of its jobs are done, by a job with a task of each; then it is gone.
//! One that nobody closed waits for more.

use std::collections::{BTreeMap, BTreeSet};

use distjob_core::{GroupData, GroupName, JobData, JobId, JobState, group::GroupState};

use super::Evidence;
use crate::zookeeper::Txn;

/// A group as far as the ledger's log has told.
#[derive(Default)]
struct Group {
    /// Which life of its name it is.
    life: i64,
    state: Option<GroupState>,
    /// Its jobs, and whether each is done.
    members: BTreeMap<JobId, bool>,
}

pub(super) fn check(evidence: &Evidence) -> Vec<String> {
    let mut groups: BTreeMap<GroupName, Group> = BTreeMap::new();
    let mut violations = Vec::new();
    for txn in &evidence.log {
        watch_jobs(evidence, &mut groups, txn);
        if let Err(why) = watch_groups(evidence, &mut groups, txn) {
            violations.push(format!("{why}, in {txn}"));
        }
    }
    if !evidence.unfinished.is_empty() {
        return violations;
    }
    for (name, group) in groups {
        if !matches!(group.state, None | Some(GroupState::Open)) {
            violations.push(format!(
                "group {name} is left {:?} by {:?}",
                group.state, group.members
            ));
        }
    }
    violations
}

/// Takes notice of members that come, and of those that are done.
fn watch_jobs(evidence: &Evidence, groups: &mut BTreeMap<GroupName, Group>, txn: &Txn) {
    for change in &txn.changes {
        let (Some(id), Some(Ok(data))) = (
            evidence.job_of(change),
            change.after.as_deref().map(JobData::parse),
        ) else {
            continue;
        };
        let Some(name) = &data.ties.group else { continue };
        let is_done = matches!(data.state, JobState::Uploaded | JobState::Cancelled);
        groups
            .entry(name.clone())
            .or_default()
            .members
            .insert(id, is_done);
    }
}

/// Takes notice of what became of groups. The error fits before the transaction.
fn watch_groups(
    evidence: &Evidence,
    groups: &mut BTreeMap<GroupName, Group>,
    txn: &Txn,
) -> Result<(), String> {
    let directory = format!("{}/", evidence.layout.groups());
    for change in &txn.changes {
        let name = change.path.strip_prefix(&directory);
        let Some(name) = name.and_then(|name| GroupName::new(name).ok()) else {
            continue;
        };
        let group = groups.entry(name.clone()).or_default();
        let Some(after) = &change.after else {
            if group.state != Some(GroupState::Joined) {
                return Err(format!("group {name} goes, which is {:?}", group.state));
            }
            groups.remove(&name);
            continue;
        };
        let data = GroupData::parse(after).map_err(|error| format!("group {name} {error}"))?;
        match (group.state, data.state) {
            (None, GroupState::Open) => group.life = change.life,
            (Some(GroupState::Open), GroupState::Closed) => {}
            (Some(GroupState::Closed), GroupState::Joined) => check_join(evidence, group, &data, txn)?,
            (from, to) => return Err(format!("group {name} goes from {from:?} to {to:?}")),
        }
        group.state = Some(data.state);
    }
    Ok(())
}

/// Whether all jobs of the group are done, and what follows is created with that and right.
fn check_join(evidence: &Evidence, group: &Group, data: &GroupData, txn: &Txn) -> Result<(), String> {
    let undone: Vec<_> = group.members.iter().filter(|(_, is_done)| !**is_done).collect();
    if !undone.is_empty() {
        return Err(format!("a group is joined without {undone:?}"));
    }
    let created = txn.changes.iter().filter(|change| change.before.is_none());
    let created: BTreeSet<_> = created.filter_map(|change| evidence.job_of(change)).collect();
    if created != data.then.iter().cloned().collect() || created.len() != 1 {
        return Err(format!(
            "a group is followed by {:?}, and {created:?} was created",
            data.then
        ));
    }
    let count = group.members.len() as u64;
    let follows = evidence
        .lives()
        .into_iter()
        .filter(|life| created.contains(&life.id));
    for life in follows {
        let first = life.states.first().and_then(Option::as_ref);
        if !first.is_some_and(|data| data.count == count && data.ties.joins.is_some()) {
            return Err(format!("a group of {count} is followed by {first:?}"));
        }
    }
    Ok(())
}
