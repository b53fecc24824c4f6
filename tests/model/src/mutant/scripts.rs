//! Seeded bugs in the scripts: wrappers around the core's model, which knows nothing of them.

use distjob_core::{
    Lease, TaskRange,
    store::{MetaState, model::Model},
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
        _ => None,
    }
}
