//! Invariant 7: after `drop` no script recreates the job's keys. Nothing here is older than the tombstone's time to live.

use distjob_core::store::MetaState;

use super::Event;
use crate::{request::Request, rules::Rules, world::World};

pub(super) fn check(_: &World, event: &Event, after: &World, _: &Rules) -> Result<(), String> {
    let Event::Executed(Request::Store(id, script), _) = event else {
        return Ok(());
    };
    let open = after.stores.get(id).and_then(|keys| keys.meta.as_ref());
    let Some(meta) = open.filter(|meta| meta.state == MetaState::Open) else {
        return Ok(());
    };
    if after.facts.dropped.contains(&(id.clone(), meta.life)) && !after.facts.rolled_back {
        return Err(format!("{script:?} brought job {id} back"));
    }
    Ok(())
}
