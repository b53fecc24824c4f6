//! Seeded bugs in the scripts: wrappers around the core's model, which knows nothing of them.

use distjob_core::{
    Lease, TaskRange,
    store::{Claim, DropReply, MetaState, Standing, model::Model},
};

use super::Mutant;
use crate::{
    request::{Reply, Script},
    store::{packed, run},
};

/// Runs a script in which the bug sits; `None` for all others, which then run as they should.
pub(crate) fn execute(mutant: Mutant, keys: &mut Model, script: &Script) -> Option<Reply> {
    match (mutant, script) {
        (
            Mutant::CommitWithoutLease,
            Script::Commit {
                life,
                holder,
                lo,
                outcomes,
            },
        ) => {
            let outcomes = packed(outcomes);
            let range = TaskRange::new(*lo, lo + outcomes.count())?;
            if keys.meta.as_ref()?.life == *life && keys.meta.as_ref()?.state == MetaState::Open {
                // As if the lease had always been there.
                let leases = keys.leases.entry(holder.clone()).or_default();
                if !leases.iter().any(|lease| lease.range.lo() == *lo) {
                    leases.push(Lease { range, attempts: 0 });
                }
            }
            Some(run(keys, script))
        }
        (Mutant::CommitLosesFront, Script::Commit { holder, lo, .. }) => {
            let reply = run(keys, script);
            if let Some(leases) = keys.leases.get_mut(holder) {
                leases.retain(|lease| lease.range.hi() != *lo);
            }
            keys.leases.retain(|_, leases| !leases.is_empty());
            Some(reply)
        }
        (Mutant::ReleaseCountsDeath, Script::Release { range, .. }) => {
            let reply = run(keys, script);
            let given_back = keys.freed.iter_mut().filter(|freed| freed.range == *range);
            given_back.for_each(|freed| freed.attempts += 1);
            Some(reply)
        }
        (Mutant::ReleaseWithoutLease, Script::Release { life, range, .. }) => {
            let has = |leases: &Vec<Lease>| leases.iter().any(|lease| lease.range.covers(*range));
            let (whose, _) = keys.leases.iter().find(|(_, leases)| has(leases))?;
            let release = Script::Release {
                life: *life,
                holder: whose.clone(),
                range: *range,
            };
            Some(run(keys, &release))
        }
        (
            Mutant::UnknownLeasesKept,
            Script::Claim {
                life,
                holder,
                want,
                isolate,
                isolated,
                ..
            },
        ) => {
            let leases = keys.leases.get(holder).into_iter().flatten();
            let all = leases.map(|lease| lease.range).collect();
            let claim = Script::Claim {
                life: *life,
                holder: holder.clone(),
                want: *want,
                isolate: *isolate,
                isolated: *isolated,
                held: all,
            };
            Some(run(keys, &claim))
        }
        (Mutant::CompleteNotSaid, Script::Claim { .. }) => Some(match run(keys, script) {
            Reply::Claim(Claim::Complete) => {
                let count = keys.meta.as_ref().map_or(0, |meta| meta.count);
                Reply::Claim(Claim::None {
                    committed: count,
                    count,
                    holders: Vec::new(),
                })
            }
            other => other,
        }),
        (Mutant::DropWithoutLife, Script::Drop { life, source }) => {
            let stands = keys.meta.as_ref().map_or(*life, |meta| meta.life);
            let drop = Script::Drop {
                life: stands,
                source: source.clone(),
            };
            Some(run(keys, &drop))
        }
        (Mutant::CancelWithoutOpen, Script::Drop { life, .. })
            if keys.standing(*life) == Standing::Absent =>
        {
            Some(Reply::Dropped(DropReply::Dropped))
        }
        _ => None,
    }
}
