//! Invariant 6: a follow-up is created exactly once for each parent that was delivered, and for no other.

use distjob_core::JobState;

use super::Event;
use crate::{rules::Rules, world::World};

pub(super) fn check(before: &World, _: &Event, after: &World, rules: &Rules) -> Result<(), String> {
    if let Some((id, times)) = after.facts.follow_ups.iter().find(|(_, times)| **times > 1) {
        return Err(format!("follow-up {id} was created {times} times"));
    }
    for (id, job) in before.ledger.jobs.iter() {
        let is_deleted = after.ledger.jobs.get(id).is_none_or(|now| now.life != job.life);
        if !is_deleted {
            continue;
        }
        let Some(follow_up) = rules.follow_up(id, job.life) else {
            continue;
        };
        let was_created = after.facts.follow_ups.contains_key(&follow_up);
        let was_delivered = job.data.state == JobState::Uploaded;
        if was_created != was_delivered {
            return Err(format!(
                "job {id} is over as {}, and its follow-up was {}created",
                job.data.state,
                if was_created { "" } else { "not " }
            ));
        }
    }
    Ok(())
}
