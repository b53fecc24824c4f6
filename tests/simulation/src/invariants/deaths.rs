//! Leases are taken only from holders whose session is over.

use std::collections::BTreeMap;

use distjob_core::{Zxid, znode::Role};

use super::Evidence;
use crate::redis::DeadFreed;

pub(super) fn check(evidence: &Evidence) -> Vec<String> {
    let directory = format!("{}/", evidence.layout.members(Role::Executor));
    let mut deaths = BTreeMap::new();
    for txn in &evidence.log {
        for change in txn.changes.iter().filter(|change| change.after.is_none()) {
            if let Some(name) = change.path.strip_prefix(&directory) {
                deaths.insert((Zxid::from(change.life), name), txn.date_ms);
            }
        }
    }
    let is_premature = |freed: &&DeadFreed| {
        let died_ms = deaths.get(&(freed.holder.born, freed.holder.name.as_str()));
        died_ms.is_none_or(|died_ms| *died_ms > evidence.began.date_of(freed.at))
    };
    let premature = evidence.store.dead_freed.iter().filter(is_premature);
    premature
        .map(|freed| {
            format!(
                "{} lost {} ranges of {} alive",
                freed.holder, freed.ranges, freed.id
            )
        })
        .collect()
}
