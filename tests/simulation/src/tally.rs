//! What each process asked of the stores, and how much it was told: what the cost model is checked
//! against.
//!
//! | name | one for each |
//! |---|---|
//! | `stat` `data` `data of all` `children` `watch` `sync` `create` `set` `delete` `multi` `ping` `close` | request to the ledger |
//! | `znode` | znode whose data was asked for, alone or among others |
//! | `event` | thing that a watch told |
//! | `push` `open` `claim` `commit` … | script or command sent to the store |

use std::{
    collections::BTreeMap,
    fmt,
    ops::Sub,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::network::{Node, Process};

/// The counters of one run. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Tally(Arc<Mutex<Counts>>);

impl Tally {
    /// Counts `many` of `what` for `process`.
    pub(crate) fn add(&self, process: Process, what: &'static str, many: usize) {
        let mut counts = self.lock();
        *counts.0.entry((process.node, what)).or_default() += many as u64;
    }

    /// What was counted until now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How often each node did what. The difference of two tells what was done in between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<(Node, &'static str), u64>);

impl Counts {
    /// How often any of `nodes` did any of `what`.
    #[must_use]
    pub fn of(&self, nodes: &[Node], what: &[&str]) -> u64 {
        let counted = self.0.iter();
        counted
            .filter(|((node, deed), _)| nodes.contains(node) && what.contains(deed))
            .map(|(_, count)| count)
            .sum()
    }

    /// How often any node did any of `what`.
    #[must_use]
    pub fn all(&self, what: &[&str]) -> u64 {
        let counted = self.0.iter();
        counted
            .filter(|((_, deed), _)| what.contains(deed))
            .map(|(_, count)| count)
            .sum()
    }
}

impl Sub for Counts {
    type Output = Self;

    fn sub(mut self, before: Self) -> Self {
        for (key, count) in before.0 {
            let now = self.0.entry(key).or_default();
            *now = now.saturating_sub(count);
        }
        self.0.retain(|_, count| *count > 0);
        self
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = None;
        for ((node, what), count) in &self.0 {
            if last.replace(node) != Some(node) {
                write!(f, "\n{:>5}:", node.0)?;
            }
            write!(f, " {what} {count}")?;
        }
        Ok(())
    }
}
