//! Whether every job ends: from each state a calm run, in which nothing goes wrong any more, must end all jobs.
//!
//! The scheduler does first what somebody waits for ([`Protocol::calm`]), then what happens by and by
//! ([`Protocol::slow`]): audits, second looks of watchers, the end of lists. A run that comes back to a state takes the next
//! of the latter; when each has had its turn, the run would go round for ever, and that is a counterexample. So is a run
//! that stands still before all jobs have ended. Sessions of dead processes expire, the dead come back, views catch up. A
//! late request stays late until nothing else is left to do, and is lost then: the states in which it did arrive are
//! states of their own, from which the same is asked.
//!
//! A run from one state passes through others, whose runs are its rest. So each state's end is looked for once, and the
//! check costs about one more transition a state.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    sync::Mutex,
};

use ahash::RandomState;

use crate::{
    protocol::{Action, Protocol},
    world::World,
};

/// Into how many parts the memory is cut, so that threads seldom wait for each other.
const SHARDS: usize = 64;

/// How often a calm run comes back to a state in which somebody waits for something, before it counts as endless: more
/// often than there are second looks in any configuration.
const VISITS_MAX: usize = 8;

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

/// 64 bits that stand for a value, the same in every run.
///
/// Two states that share them would be taken for one: of ten million states, with a probability of one in 400,000. The
/// checker itself goes by such a fingerprint, too.
pub(crate) fn fingerprint(value: &impl Hash) -> u64 {
    RandomState::with_seeds(1, 2, 3, 4).hash_one(value)
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
        let mut visits: HashMap<u64, usize> = HashMap::new();
        let mut steps = Vec::new();
        let mut now = world.clone();
        loop {
            let state = fingerprint(&now);
            // A broken invariant is told by its own property.
            if self.ends.knows(state) || now.broken.is_some() || has_ended(&now) {
                break;
            }
            let visit = visits.entry(state).or_default();
            let Some((action, after)) = self.calm_step(&now, *visit) else {
                steps.push(
                    if *visit == 0 {
                        "nothing more happens"
                    } else {
                        "and so on, for ever"
                    }
                    .to_owned(),
                );
                return Err(steps);
            };
            *visit += 1;
            steps.push(action.to_string());
            now = after;
        }
        visits.into_keys().for_each(|state| self.ends.learn(state));
        Ok(())
    }

    /// The next step of a calm run that has been in this state `visit` times already. Where nobody waits for anything,
    /// it is the turn of something else each time; `None` when each had its turn, or nothing changes anything.
    fn calm_step(&self, now: &World, visit: usize) -> Option<(Action, World)> {
        let step = |action: Action| {
            let after = self.after(now, &action)?;
            Some((action, after))
        };
        let awaited = self.calm(now).into_iter().find_map(step);
        if visit < VISITS_MAX && awaited.is_some() {
            return awaited;
        }
        self.slow(now).into_iter().filter_map(step).nth(visit)
    }
}

/// Whether all jobs have ended and nothing is left. A store that went back may hold what was dropped: `distjobctl gc`.
fn has_ended(world: &World) -> bool {
    world.is_at_rest() && (world.is_clean() || world.facts.rolled_back)
}
