//! Invariant 3: a commit takes effect only while the lease names its holder; a lease leaves its holder only by commit,
//! by its own `release` or `free`, by proof of its death, by `drop`, or because the store went back. And only proof of a
//! death counts one.

use distjob_core::{Holder, Lease, Zxid, store::model::Model};

use super::Event;
use crate::{
    request::{Reply, Request, Script},
    rules::Rules,
    world::World,
};

pub(super) fn check(before: &World, event: &Event, after: &World, _: &Rules) -> Result<(), String> {
    let Event::Executed(Request::Store(id, script), reply) = event else {
        return Ok(());
    };
    let Some(was) = before.stores.get(id) else {
        return Ok(());
    };
    if !matches!(
        script,
        Script::Free { deaths: 1, .. } | Script::Open { .. } | Script::Drop { .. }
    ) && let Some(is) = after.stores.get(id)
    {
        nobody_died(was, is)?;
    }
    match (script, reply) {
        (Script::Commit { holder, lo, .. }, Reply::Commit(commit)) if commit.accepted => {
            let leases = was.leases.get(holder);
            let is_held = leases.is_some_and(|leases| {
                leases
                    .iter()
                    .any(|lease| lease.range.lo() <= *lo && *lo < lease.range.hi())
            });
            is_held
                .then_some(())
                .ok_or(format!("{holder} committed {lo} without a lease"))
        }
        (Script::Free { holder, deaths, .. }, _) if *deaths > 0 => {
            let had_some = was.leases.contains_key(holder) && was.leases != after.stores[id].leases;
            let lives = had_some && is_alive(after, holder);
            (!lives)
                .then_some(())
                .ok_or(format!("{holder} lives, and its ranges were given away"))
        }
        (Script::Free { .. } | Script::Drop { .. }, _) => Ok(()),
        (Script::Commit { holder, .. } | Script::Release { holder, .. }, _) => {
            others_keep(before, after, id, Some(holder))
        }
        _ => others_keep(before, after, id, None),
    }
}

/// Whether no task that is leased or was given back has seen more deaths than before, or fewer.
fn nobody_died(was: &Model, is: &Model) -> Result<(), String> {
    let deaths = |keys: &Model| -> Vec<(u64, u32)> {
        let pieces = keys.leases.values().flatten().chain(&keys.freed);
        let each = |lease: &Lease| {
            let attempts = lease.attempts;
            (lease.range.lo()..lease.range.hi()).map(move |index| (index, attempts))
        };
        pieces.flat_map(each).collect()
    };
    let life = |keys: &Model| -> Option<Zxid> { Some(keys.meta.as_ref()?.life) };
    if life(was) != life(is) {
        return Ok(());
    }
    let before = deaths(was);
    let known = |index: u64| before.iter().find(|(known, _)| *known == index);
    match deaths(is).into_iter().find(|(index, deaths)| {
        let expected = known(*index).map_or(0, |(_, deaths)| *deaths);
        expected != *deaths
    }) {
        None => Ok(()),
        Some((index, deaths)) => Err(format!("task {index} counts {deaths} deaths, and nobody died")),
    }
}

/// Whether the session under which it registered lives.
fn is_alive(world: &World, holder: &Holder) -> bool {
    world
        .executors
        .iter()
        .filter_map(|member| member.term.as_ref())
        .any(|term| term.holder == *holder && world.ledger.sessions.contains(&term.session))
}

/// No lease may vanish but those of `spender`.
fn others_keep(
    before: &World,
    after: &World,
    id: &distjob_core::JobId,
    spender: Option<&Holder>,
) -> Result<(), String> {
    let (Some(was), Some(is)) = (before.stores.get(id), after.stores.get(id)) else {
        return Ok(());
    };
    let same_life = was.meta.as_ref().map(|meta| meta.life) == is.meta.as_ref().map(|meta| meta.life);
    let robbed = was
        .leases
        .iter()
        .filter(|(holder, _)| same_life && Some(*holder) != spender)
        .find(|(holder, leases)| {
            let left = is.leases.get(*holder);
            !leases
                .iter()
                .all(|lease| left.is_some_and(|left| left.contains(lease)))
        });
    match robbed {
        None => Ok(()),
        Some((holder, _)) => Err(format!("a lease left {holder}")),
    }
}
