//! Every change of a job's state is one of the table's, and made by somebody who may: what needs the lock, by the
//! session that owns it.

use std::collections::BTreeMap;

use distjob_core::{
    JobData, JobState,
    ledger::{Actor, allows},
    znode::Role,
};

use super::Evidence;
use crate::zookeeper::{Change, Txn};

/// Who owns each lock, by its path.
type Locks = BTreeMap<String, i64>;

pub(super) fn check(evidence: &Evidence) -> Vec<String> {
    let mut locks = Locks::new();
    let mut violations = Vec::new();
    let below = format!("{}/", evidence.layout.locks());
    for txn in &evidence.log {
        // The locks as they were before: the last transaction of a job takes its lock away, too.
        for change in &txn.changes {
            if let Err(why) = check_change(evidence, &locks, txn, change) {
                violations.push(format!("{why}, in {txn}"));
            }
        }
        for change in txn
            .changes
            .iter()
            .filter(|change| change.path.starts_with(&below))
        {
            match change.after {
                Some(_) => locks.insert(change.path.clone(), change.ephemeral_owner),
                None => locks.remove(&change.path),
            };
        }
    }
    violations
}

fn check_change(evidence: &Evidence, locks: &Locks, txn: &Txn, change: &Change) -> Result<(), String> {
    let Some(id) = evidence.job_of(change) else {
        return Ok(());
    };
    let parse =
        |bytes: &[u8]| JobData::parse(bytes).map_err(|error| format!("job {id} cannot be read: {error}"));
    let after = change.after.as_deref().map(parse).transpose()?;
    let Some(before) = change.before.as_deref().map(parse).transpose()? else {
        return match after {
            Some(data) if data.state == JobState::Submitted => Ok(()),
            _ => Err(format!("job {id} is not created as subm")),
        };
    };
    let actor = match evidence.role_of(txn.process.node) {
        Some(Role::Executor) => Actor::Executor,
        Some(Role::Watcher) if locks.get(&evidence.layout.lock(&id)) == Some(&txn.session) => {
            Actor::LockHolder
        }
        Some(Role::Watcher) => return Err(format!("job {id} is written by a session without its lock")),
        None => Actor::Operator,
    };
    let to = after.as_ref().map(|data| data.state);
    if !allows(actor, before.state, to) {
        return Err(format!(
            "{actor:?} takes job {id} from {} to {to:?}",
            before.state
        ));
    }
    let is_same = |data: &JobData| {
        (data.count, &data.queue, &data.source) == (before.count, &before.queue, &before.source)
    };
    match after {
        Some(data) if !is_same(&data) => Err(format!("job {id} changes from {before} to {data}")),
        _ => Ok(()),
    }
}
