//! Invariant 1: once a submission has reported success, every payload is in the store until the job is delivered or
//! cancelled. Only what the store itself lost becomes `lost`.
//!
//! One exception is known: a `create` that was thought lost takes effect so late that its job is delivered and deleted
//! between the submitter's last look and its second `create`. The second life of that submission has no tasks, and
//! becomes `lost`, although its outcomes were delivered.

use distjob_core::{JobState, Source, store::Standing};

use super::Event;
use crate::{
    request::{Reply, Request, Write},
    rules::Rules,
    world::World,
};

pub(super) fn check(before: &World, event: &Event, after: &World, _: &Rules) -> Result<(), String> {
    let lost_something = after.facts.rolled_back || after.facts.lapsed;
    if let Event::Executed(Request::Ledger(_, Write::SetLocked(id, _, data, _)), Reply::Done) = event
        && data.state == JobState::Lost
        && !lost_something
        && !before.facts.spent.contains(&data.source)
    {
        return Err(format!(
            "job {id} is lost although the store lost nothing: {data}"
        ));
    }
    if after.facts.rolled_back {
        return Ok(());
    }
    for (id, job) in &after.ledger.jobs {
        let is_acknowledged = match &job.data.source {
            Source::Staged(token) => after.facts.acknowledged.contains(token),
            Source::Plain => false,
        };
        let is_needed = !matches!(
            job.data.state,
            JobState::Uploaded | JobState::Cancelled | JobState::Lost
        );
        let is_whole = job.data.count == 0
            || after.stores.get(id).is_some_and(|keys| {
                keys.standing(job.life) == Standing::Open && keys.tasks.len() as u64 == job.data.count
            });
        if is_acknowledged && is_needed && !is_whole {
            return Err(format!(
                "job {id} is {} and its payloads are not in the store",
                job.data.state
            ));
        }
    }
    Ok(())
}
