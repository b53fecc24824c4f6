//! No member has the name of another one that is or was: leases and locks are told apart by names.

use std::collections::BTreeMap;

use distjob_core::znode::Role;

use super::Evidence;

pub(super) fn check(evidence: &Evidence) -> Vec<String> {
    let directories =
        [Role::Executor, Role::Watcher].map(|role| format!("{}/", evidence.layout.members(role)));
    let mut seen = BTreeMap::new();
    let mut violations = Vec::new();
    for txn in &evidence.log {
        for change in txn.changes.iter().filter(|change| change.before.is_none()) {
            if directories
                .iter()
                .any(|directory| change.path.starts_with(directory))
                && let Some(earlier) = seen.insert(change.path.clone(), txn.zxid)
            {
                violations.push(format!("{} was there since {earlier:x}, in {txn}", change.path));
            }
        }
    }
    violations
}
