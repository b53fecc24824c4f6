//! The jobs that can be handed out, queue by queue.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    time::Duration,
};

use super::Rank;
use crate::{
    JobId, QueueName,
    turns::{Precedence, Turns},
};

/// Which of a queue's jobs come before which others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Somebody who is gone may have left something.
    First,
    /// In this member's share.
    Mine,
    /// In another's share.
    Other,
}

/// The ripe jobs of one queue.
#[derive(Debug, Default)]
struct Queue {
    first: BTreeSet<Rank>,
    mine: BTreeSet<Rank>,
    other: BTreeSet<Rank>,
    /// The last job handed out: the next one is the next younger one after it, round and round.
    last: Option<Rank>,
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.first.is_empty() && self.mine.is_empty() && self.other.is_empty()
    }

    fn next(&mut self) -> Option<JobId> {
        if let Some((_, id)) = self.first.first() {
            // The others go on afterwards where they were.
            return Some(id.clone());
        }
        let ripe = if self.mine.is_empty() {
            &self.other
        } else {
            &self.mine
        };
        let after = self.last.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let rank = ripe
            .range((after, Bound::Unbounded))
            .next()
            .or_else(|| ripe.first())?
            .clone();
        let id = rank.1.clone();
        self.last = Some(rank);
        Some(id)
    }
}

/// The ripe jobs of all queues.
#[derive(Debug, Default)]
pub(super) struct Ripe {
    queues: BTreeMap<QueueName, Queue>,
    turns: Turns,
}

impl Ripe {
    pub(super) fn insert(&mut self, queue: &QueueName, class: Class, rank: Rank) {
        let queue = self.queues.entry(queue.clone()).or_default();
        let jobs = match class {
            Class::First => &mut queue.first,
            Class::Mine => &mut queue.mine,
            Class::Other => &mut queue.other,
        };
        jobs.insert(rank);
    }

    pub(super) fn remove(&mut self, queue: &QueueName, rank: &Rank) {
        if let Some(queue) = self.queues.get_mut(queue) {
            for jobs in [&mut queue.first, &mut queue.mine, &mut queue.other] {
                jobs.remove(rank);
            }
        }
    }

    pub(super) fn has(&self, queue: &QueueName) -> bool {
        self.queues.get(queue).is_some_and(|queue| !queue.is_empty())
    }

    /// The next job of the queue whose turn it is among those that `may`. It stays where it is. Nothing when that queue has
    /// none yet, but will have.
    pub(super) fn next(
        &mut self,
        may: impl Fn(&QueueName) -> bool,
        will_have: impl Fn(&QueueName) -> bool,
    ) -> Option<JobId> {
        let has = |(name, queue): (&QueueName, &Queue)| !queue.is_empty() || will_have(name);
        let waiting = |entry: &(&QueueName, &Queue)| has(*entry) && may(entry.0);
        let names: Vec<&QueueName> = self.queues.iter().filter(waiting).map(|(name, _)| name).collect();
        let priority = |name: &QueueName| self.turns.precedence(name).priority;
        let highest = names.iter().map(|name| priority(name)).max()?;
        // What somebody left who is gone has waited long enough, whosever turn it is.
        let is_urgent = |name: &&QueueName| priority(name) == highest && !self.queues[*name].first.is_empty();
        let urgent = self.turns.choose(names.iter().copied().filter(is_urgent));
        let chosen = urgent.or_else(|| self.turns.choose(names))?.clone();
        self.queues.get_mut(&chosen)?.next()
    }

    pub(super) fn set(&mut self, queue: &QueueName, precedence: Precedence) {
        self.turns.set(queue, precedence);
    }

    pub(super) fn goes_before(&self, one: &QueueName, other: &QueueName) -> bool {
        self.turns.choose([one, other]) == Some(one)
    }

    pub(super) fn charge(&mut self, queue: &QueueName, expected: Duration) {
        self.turns.charge(queue, expected);
    }

    pub(super) fn correct(&mut self, queue: &QueueName, expected: Duration, actual: Duration) {
        self.turns.correct(queue, expected, actual);
    }
}
