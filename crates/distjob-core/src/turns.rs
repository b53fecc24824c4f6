//! Whose turn it is among queues that share an executor's slots.
//!
//! Queues of a higher priority go first. Among equals this is start-time fair queueing (Goyal, Vin and Cheng, 1996): each
//! queue has a *tag*, the service that it got divided by its weight, and the queue with the smallest tag is next. While
//! several queues have work all the time, they get service in proportion to their weights, whatever their tasks cost.
//!
//! ```text
//! tags     a (weight 3) ├──1/3──┼──1/3──┼──1/3──┤
//!          b (weight 1) ├───────────1───────────┤        order: a b a a │ a b a a │ …
//! ```
//!
//! A queue that had nothing to do gets little credit for it: its tag is at most [`CREDIT`] of service behind the clock of
//! its priority, which is the tag of whoever was served last. So a queue that comes back is served at once, and
//! does not keep the others waiting for what it did not want before.
//!
//! Work is charged when it is claimed, by what it is expected to cost, and [corrected](Turns::correct) when it is known:
//! else one queue could take all slots before its first lease ends.

use std::{collections::BTreeMap, time::Duration};

use crate::QueueName;

/// How much service a queue can be behind the others without having missed it for good. Longer than one claim, so that
/// a queue whose only job is just being visited loses nothing.
pub const CREDIT: Duration = Duration::from_secs(1);

/// Highest weight of a queue, and lowest is 1.
pub const WEIGHT_MAX: u32 = 1000;

/// How a queue stands to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Precedence {
    /// A queue with a higher one goes first, whatever the others' weights are.
    pub priority: i32,
    /// Its share among queues of the same priority, from 1 to [`WEIGHT_MAX`]; what lies outside is moved to the edge.
    pub weight: u32,
}

impl Default for Precedence {
    fn default() -> Self {
        Self {
            priority: 0,
            weight: 1,
        }
    }
}

/// Service divided by weight: microseconds, multiplied by [`WEIGHT_MAX`] to keep the division fine.
type Tag = u64;

impl Precedence {
    fn tag(self, service: Duration) -> Tag {
        let micros = u64::try_from(service.as_micros()).unwrap_or(u64::MAX);
        micros.saturating_mul(u64::from(WEIGHT_MAX)) / u64::from(self.weight.clamp(1, WEIGHT_MAX))
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Turn {
    precedence: Precedence,
    tag: Tag,
}

/// Whose turn it is, see [the module](self). Queues that were never named have the default [`Precedence`].
#[derive(Clone, Debug, Default)]
pub struct Turns {
    turns: BTreeMap<QueueName, Turn>,
    /// For each priority, the tag of the queue that was served last.
    clocks: BTreeMap<i32, Tag>,
}

impl Turns {
    /// Says how a queue stands to the others from now on. What it got before counts with the weight that it had then; with
    /// another priority it begins anew.
    pub fn set(&mut self, queue: &QueueName, precedence: Precedence) {
        let clock = self.clock(precedence.priority);
        let turn = self.turns.entry(queue.clone()).or_insert(Turn {
            precedence,
            tag: clock,
        });
        if turn.precedence.priority != precedence.priority {
            turn.tag = clock;
        }
        turn.precedence = precedence;
    }

    /// How a queue stands to the others.
    #[must_use]
    pub fn precedence(&self, queue: &QueueName) -> Precedence {
        self.turn(queue).precedence
    }

    /// The one of these queues whose turn it is: of the highest priority there is, the one that is furthest behind; of
    /// several such, the first by name.
    #[must_use]
    pub fn choose<'a>(&self, waiting: impl IntoIterator<Item = &'a QueueName>) -> Option<&'a QueueName> {
        waiting.into_iter().min_by_key(|queue| {
            let turn = self.turn(queue);
            (
                std::cmp::Reverse(turn.precedence.priority),
                self.start(turn),
                *queue,
            )
        })
    }

    /// The queue gets service that is expected to take this long: the time of one slot.
    pub fn charge(&mut self, queue: &QueueName, expected: Duration) {
        let turn = self.turn(queue);
        let start = self.start(turn);
        let clock = self.clocks.entry(turn.precedence.priority).or_default();
        *clock = start.max(*clock);
        let tag = start.saturating_add(turn.precedence.tag(expected));
        self.turns.insert(queue.clone(), Turn { tag, ..turn });
    }

    /// What was charged as `expected` took so long in truth.
    pub fn correct(&mut self, queue: &QueueName, expected: Duration, actual: Duration) {
        let turn = self.turn(queue);
        let (expected, actual) = (turn.precedence.tag(expected), turn.precedence.tag(actual));
        let tag = turn.tag.saturating_add(actual).saturating_sub(expected);
        self.turns.insert(queue.clone(), Turn { tag, ..turn });
    }

    fn turn(&self, queue: &QueueName) -> Turn {
        self.turns.get(queue).copied().unwrap_or_default()
    }

    fn clock(&self, priority: i32) -> Tag {
        self.clocks.get(&priority).copied().unwrap_or_default()
    }

    /// From which tag on the queue is served next.
    fn start(&self, turn: Turn) -> Tag {
        let credit = turn.precedence.tag(CREDIT);
        let oldest = self.clock(turn.precedence.priority).saturating_sub(credit);
        turn.tag.max(oldest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn queue(name: &str) -> QueueName {
        QueueName::new(name).unwrap()
    }

    fn turns(queues: &[(&str, i32, u32)]) -> Turns {
        let mut turns = Turns::default();
        for (name, priority, weight) in queues {
            let precedence = Precedence {
                priority: *priority,
                weight: *weight,
            };
            turns.set(&queue(name), precedence);
        }
        turns
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Serves so often, each time for so long; the names in order.
    fn serve(turns: &mut Turns, waiting: &[&str], times: usize, cost: Duration) -> String {
        let waiting: Vec<QueueName> = waiting.iter().map(|name| queue(name)).collect();
        let mut order = String::new();
        for _ in 0..times {
            let next = turns.choose(&waiting).unwrap();
            turns.charge(next, cost);
            order.push_str(next.as_str());
        }
        order
    }

    #[test]
    fn weights_are_turns_when_all_work_costs_the_same() {
        let mut turns = turns(&[("a", 0, 3), ("b", 0, 1)]);
        assert_eq!(serve(&mut turns, &["a", "b"], 12, ms(100)), "abaaabaaabaa");
    }

    #[test]
    fn a_lower_priority_runs_only_when_no_higher_one_may() {
        let mut turns = turns(&[("a", 0, 1000), ("b", 5, 1), ("c", -5, 1)]);
        assert_eq!(serve(&mut turns, &["a", "b", "c"], 5, ms(100)), "bbbbb");
        assert_eq!(serve(&mut turns, &["a", "c"], 5, ms(100)), "aaaaa");
        assert_eq!(serve(&mut turns, &["c"], 2, ms(100)), "cc");
        assert_eq!(turns.choose([]), None);
    }

    #[test]
    fn what_was_expected_wrongly_is_made_good() {
        let mut turns = turns(&[]);
        let (a, b) = (queue("a"), queue("b"));
        turns.charge(&a, ms(10));
        turns.correct(&a, ms(10), ms(500));
        assert_eq!(serve(&mut turns, &["a", "b"], 6, ms(100)), "bbbbba");
        turns.charge(&b, ms(400));
        turns.correct(&b, ms(400), ms(0));
        assert_eq!(
            turns.choose([&a, &b]),
            Some(&b),
            "a visit that found nothing costs nothing"
        );
    }

    #[test]
    fn another_priority_begins_among_its_equals() {
        let mut turns = turns(&[("a", 0, 1), ("b", 1, 1)]);
        serve(&mut turns, &["b"], 100, ms(1000));
        turns.set(&queue("b"), Precedence::default());
        serve(&mut turns, &["a", "b"], 1, ms(100));
        assert_eq!(serve(&mut turns, &["a", "b"], 4, ms(100)), "baba");
    }

    proptest! {
        #[test]
        fn queues_that_always_have_work_get_service_by_their_weights(
            weights in prop::collection::vec(1u32..20, 2..6),
            costs in prop::collection::vec(1u64..250, 50),
            wrong in prop::collection::vec(1u64..250, 7),
        ) {
            let names: Vec<QueueName> = (0..weights.len()).map(|n| queue(&format!("q{n}"))).collect();
            let mut turns = Turns::default();
            let mut served = vec![0u64; weights.len()];
            for (name, weight) in names.iter().zip(&weights) {
                turns.set(name, Precedence { priority: 0, weight: *weight });
            }
            for round in 0..5000 {
                let next = turns.choose(&names).unwrap().clone();
                let index = names.iter().position(|name| *name == next).unwrap();
                // Each queue has its own costs, and its own error in expecting them.
                let (cost, expected) = (costs[(round + index * 7) % 50], wrong[index]);
                turns.charge(&next, ms(expected));
                turns.correct(&next, ms(expected), ms(cost));
                served[index] += cost;
            }
            // Nobody is ahead of another by more than a few turns, however long it goes on.
            let normal: Vec<u64> = served.iter().zip(&weights).map(|(ms, weight)| ms * 100 / u64::from(*weight)).collect();
            let (least, most) = (normal.iter().min().unwrap(), normal.iter().max().unwrap());
            prop_assert!(most - least <= 3 * 250 * 100, "{served:?} for {weights:?}");
        }

        #[test]
        fn a_queue_that_was_idle_gets_no_more_than_the_credit(
            idle in 0usize..2000, cost in 1u64..100, weight in 1u32..50,
        ) {
            let mut turns = turns(&[("a", 0, 1), ("b", 0, weight)]);
            serve(&mut turns, &["a"], idle, ms(cost));
            // How long the others wait until it is their turn again.
            let alone = serve(&mut turns, &["a", "b"], 5000, ms(cost));
            let waited = alone.find('a').unwrap_or(5000) as u64;
            let credit = CREDIT.as_millis() as u64 + cost * u64::from(weight);
            prop_assert!(waited * cost <= credit + 2 * cost, "{waited} turns of {cost} ms");
        }
    }
}
