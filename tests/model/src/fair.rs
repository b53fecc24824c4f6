//! Whether every job ends: from each state a calm run, in which nothing goes wrong any more, must end all jobs.
//!
//! The scheduler is fair by rank: of all that may happen, the first in the order of [`Protocol::calm`] that changes
//! anything. It has no memory, so a run that comes back to a state would go round for ever; that is a counterexample,
//! and so is one that stands still before all jobs have ended. Sessions of dead processes expire, the dead come back,
//! views catch up, and a late request stays late: the states in which it did arrive are states of their own, from
//! which the same is asked.
//!
//! A run from one state passes through others, whose runs are its rest. So each state's end is looked for once, and the
//! check costs about one more transition a state.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Mutex,
};

use crate::{protocol::Protocol, world::World};

/// Into how many parts the memory is cut, so that threads seldom wait for each other.
const SHARDS: usize = 64;

/// The states from which all is known to end well.
#[derive(Debug)]
pub(crate) struct Ends {
    shards: Vec<Mutex<HashSet<u64>>>,
}

impl Default for Ends {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }
}

impl Ends {
    fn knows(&self, state: u64) -> bool {
        self.shard(state).lock().is_ok_and(|shard| shard.contains(&state))
    }

    fn learn(&self, state: u64) {
        if let Ok(mut shard) = self.shard(state).lock() {
            shard.insert(state);
        }
    }

    fn shard(&self, state: u64) -> &Mutex<HashSet<u64>> {
        &self.shards[state as usize % SHARDS]
    }
}

fn fingerprint(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    world.hash(&mut hasher);
    hasher.finish()
}

impl Protocol {
    /// Whether the calm run from `world` ends every job and leaves nothing behind.
    pub(crate) fn ends_well(&self, world: &World) -> bool {
        self.calm_run(world).is_ok()
    }

    /// The calm run from `world`, as far as it is not known to end well.
    ///
    /// # Errors
    /// With the actions of a run that does not.
    pub(crate) fn calm_run(&self, world: &World) -> Result<(), Vec<String>> {
        let mut passed = Vec::new();
        let mut steps = Vec::new();
        let mut now = world.clone();
        loop {
            let state = fingerprint(&now);
            // A broken invariant is told by its own property.
            if self.ends.knows(state) || now.broken.is_some() {
                break;
            }
            if passed.contains(&state) {
                steps.push("and so on, for ever".to_owned());
                return Err(steps);
            }
            passed.push(state);
            let next = self.calm(&now).into_iter().find_map(|action| {
                let after = self.after(&now, &action)?;
                Some((action, after))
            });
            let Some((action, after)) = next.filter(|_| !has_ended(&now)) else {
                if has_ended(&now) {
                    break;
                }
                steps.push("nothing more happens".to_owned());
                return Err(steps);
            };
            steps.push(action.to_string());
            now = after;
        }
        passed.into_iter().for_each(|state| self.ends.learn(state));
        Ok(())
    }
}

/// Whether all jobs have ended and nothing is left. A store that went back may hold what was dropped: `distjobctl gc`.
fn has_ended(world: &World) -> bool {
    world.is_at_rest() && (world.is_clean() || world.facts.rolled_back)
}
