//! Invariant 5: a job's znode is deleted only from `uploaded` or `cncl`, and when its keys have been dropped.

use distjob_core::JobState;

use super::Event;
use crate::{rules::Rules, world::World};

pub(super) fn check(before: &World, _: &Event, after: &World, _: &Rules) -> Result<(), String> {
    for (id, job) in before.ledger.jobs.iter() {
        if after.ledger.jobs.get(id).is_some_and(|now| now.life == job.life) {
            continue;
        }
        if !matches!(job.data.state, JobState::Uploaded | JobState::Cancelled) {
            return Err(format!("job {id} was deleted from {}", job.data.state));
        }
        let is_dropped = after.facts.dropped.contains(&(id.clone(), job.life));
        if !is_dropped && job.data.count > 0 {
            return Err(format!("job {id} was deleted and its keys were not dropped"));
        }
    }
    Ok(())
}
