//! Invariant 1: once a submission has reported success, every payload is in the store until the job is delivered or
//! cancelled. Only what the store itself lost becomes `lost`.
//!
//! One exception is known. When a `create` that nobody answered takes effect late, its job may be delivered and deleted
//! before the submitter's next step; that step, or the late request itself if the submitter was faster, then creates the
//! job once more. This second life of a submission has no tasks and becomes `lost`, although the first was delivered.

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
        && !before.is_spent(&data.source)
    {
        return Err(format!(
            "job {id} is lost although the store lost nothing: {data}"
        ));
    }
    if after.facts.rolled_back {
        return Ok(());
    }
    for (id, job) in after.ledger.jobs.iter() {
        let is_acknowledged = match &job.data.source {
            Source::Staged(token) => after.facts.acknowledged.contains(token),
            Source::Plain => false,
        };
        let is_needed = !matches!(
            job.data.state,
            JobState::Uploaded | JobState::Cancelled | JobState::Lost
        ) && !before.is_spent(&job.data.source);
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
