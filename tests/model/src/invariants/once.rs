//! Invariant 2: for each task of a life at most one outcome takes effect, and a delivered job has exactly the indexes
//! from 0 up to n, each once, each with the outcome of its own payload.

use std::collections::BTreeSet;

use distjob_core::JobState;

use super::Event;
use crate::{
    request::{Reply, Request, Row, Write},
    rules::{Rules, payloads},
    world::World,
};

pub(super) fn check(_: &World, event: &Event, after: &World, rules: &Rules) -> Result<(), String> {
    match event {
        Event::Executed(Request::Store(id, _), _) => {
            match after.stores.get(id).map(|keys| keys.partition()) {
                Some(Err(violation)) => Err(format!("the pieces of job {id} are no partition: {violation}")),
                _ => Ok(()),
            }
        }
        Event::Executed(Request::Publish(_, _, rows), _) => is_whole(rows, rules),
        Event::Executed(Request::Ledger(_, Write::SetLocked(id, before, data, _)), Reply::Done)
            if data.state == JobState::Uploaded
                && !after.facts.published.contains(&(id.clone(), before.life)) =>
        {
            Err(format!("job {id} counts as delivered, and nothing was published"))
        }
        _ => Ok(()),
    }
}

/// Whether these are the outcomes of all tasks of one submission.
fn is_whole(rows: &[Row], rules: &Rules) -> Result<(), String> {
    let stems: BTreeSet<u8> = rows.iter().map(|(_, task, _)| task[0]).collect();
    let count = match stems.first() {
        Some(9) => 1,
        _ => rules.bounds.tasks,
    };
    let expected = stems.first().map_or(Vec::new(), |stem| payloads(*stem, count));
    let is_given_up = |outcome: &[u8]| rules.bounds.poison.is_some() && outcome == b"given up";
    let is_right = rows.len() as u64 == count
        && rows
            .iter()
            .zip(0..)
            .zip(&expected)
            .all(|(((index, task, outcome), due), payload)| {
                *index == due && task == payload && (outcome == payload || is_given_up(outcome))
            });
    if is_right {
        Ok(())
    } else {
        Err(format!("published {rows:?}"))
    }
}
