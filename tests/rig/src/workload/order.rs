//! Which jobs are submitted, how, and when: drawn from the seed.

use std::collections::VecDeque;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::expect::Flavour;

/// Between one submission and the next: busy on two cores, but not more than they can do.
const PAUSE_MS: std::ops::Range<u64> = 80..450;
/// How many of the last jobs may be submitted again. The last of all may be cancelled: others are over soon.
const REMEMBERED: usize = 12;

/// In which way a job is submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// By a submitter on the host of that number.
    Once {
        /// From 1.
        host: u32,
    },
    /// By the rig itself: a list, then a znode.
    Plain,
    /// By a submitter, although a submitter submitted this id before; it may even be at it still.
    Again {
        /// From 1.
        host: u32,
    },
    /// By a submitter, as a member of the group of that number.
    Member {
        /// From 1.
        host: u32,
        /// The group's number.
        group: u64,
        /// Whether it closes the group.
        is_last: bool,
    },
}

/// What is done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// A job is submitted.
    Submit {
        /// Its id, which tells its flavour.
        id: String,
        /// How many tasks it has.
        count: u64,
        /// How.
        manner: Manner,
    },
    /// A group of jobs is submitted, one after the other, and closed with the last.
    Group {
        /// The group's number.
        group: u64,
        /// Its members, each with how many tasks it has.
        members: Vec<(String, u64)>,
        /// The host of the submitters, from 1.
        host: u32,
        /// Whether an operator cancels the first member when all are submitted.
        is_first_cancelled: bool,
    },
    /// An operator cancels a job.
    Cancel {
        /// The job.
        id: String,
    },
}

/// All orders of a run, each with the pause before it. Never ends. The same seed makes the same orders.
#[derive(Debug)]
pub struct Orders {
    rng: StdRng,
    hosts: u32,
    submitted: u64,
    groups: u64,
    /// The last jobs that submitters submitted.
    recent: VecDeque<(String, u64)>,
}

impl Orders {
    /// The orders of the run with this seed, for submitters on so many hosts.
    #[must_use]
    pub fn new(seed: u64, hosts: u32) -> Self {
        // The plan is drawn from the same seed, and should have nothing to do with this.
        let rng = StdRng::seed_from_u64(seed ^ 0x6a6f_6273);
        Self {
            rng,
            hosts,
            submitted: 0,
            groups: 0,
            recent: VecDeque::new(),
        }
    }

    /// The id of the next job of a flavour: never given out before.
    pub fn fresh_id(&mut self, flavour: Flavour) -> String {
        self.submitted += 1;
        flavour.id(self.submitted)
    }

    fn order(&mut self) -> Order {
        let host = self.rng.random_range(1..=self.hosts.max(1));
        if self.rng.random_ratio(1, 12)
            && let Some((id, count)) = self.remembered()
        {
            return Order::Submit {
                id,
                count,
                manner: Manner::Again { host },
            };
        }
        if self.rng.random_ratio(1, 25)
            && let Some((id, _)) = self.recent.back().cloned()
        {
            return Order::Cancel { id };
        }
        let flavour = match self.rng.random_range(0..16) {
            0..4 => Flavour::Slow,
            4 => Flavour::Command,
            5 => Flavour::Worker,
            6..8 => Flavour::Flow,
            8 => return self.group(host),
            _ => Flavour::Mixed,
        };
        let (id, count) = (self.fresh_id(flavour), self.count(flavour));
        let manner = if self.rng.random_bool(0.5) {
            Manner::Plain
        } else {
            Manner::Once { host }
        };
        if manner != Manner::Plain {
            self.remember(&id, count);
        }
        Order::Submit { id, count, manner }
    }

    fn count(&mut self, flavour: Flavour) -> u64 {
        let range = match (flavour, self.rng.random_range(0..100)) {
            (_, 0..4) => 0..=0,
            (Flavour::Slow, _) => 1..=60,
            (Flavour::Command | Flavour::Worker | Flavour::Flow | Flavour::Part, _) => 1..=24,
            (_, 4..60) => 1..=50,
            (_, 60..85) => 51..=300,
            (_, 85..95) => 301..=1_000,
            _ => 1_001..=2_000,
        };
        self.rng.random_range(range)
    }

    fn group(&mut self, host: u32) -> Order {
        self.groups += 1;
        let count = self.rng.random_range(1..=4);
        let members = (0..count).map(|_| {
            let id = self.fresh_id(Flavour::Part);
            (id, self.count(Flavour::Part))
        });
        Order::Group {
            members: members.collect(),
            group: self.groups,
            host,
            is_first_cancelled: self.rng.random_ratio(1, 6),
        }
    }

    fn remember(&mut self, id: &str, count: u64) {
        self.recent.push_back((id.to_owned(), count));
        if self.recent.len() > REMEMBERED {
            self.recent.pop_front();
        }
    }

    fn remembered(&mut self) -> Option<(String, u64)> {
        let place = self.rng.random_range(0..self.recent.len().max(1));
        self.recent.get(place).cloned()
    }
}

impl Iterator for Orders {
    type Item = (Duration, Order);

    fn next(&mut self) -> Option<(Duration, Order)> {
        let pause = Duration::from_millis(self.rng.random_range(PAUSE_MS));
        Some((pause, self.order()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn orders(seed: u64) -> Vec<(Duration, Order)> {
        Orders::new(seed, 2).take(1_000).collect()
    }

    #[test]
    fn the_same_seed_makes_the_same_orders() {
        assert_eq!(orders(1), orders(1));
        assert_ne!(orders(1), orders(2));
    }

    #[test]
    fn jobs_come_in_every_manner_and_size() {
        let mut met = BTreeMap::<_, u32>::new();
        for (_, order) in orders(3) {
            let what = match order {
                Order::Cancel { .. } => "cancelled",
                Order::Group { .. } => "in a group",
                Order::Submit {
                    manner: Manner::Again { .. },
                    ..
                } => "again",
                Order::Submit { count: 0, .. } => "without tasks",
                Order::Submit { count: 1_001.., .. } => "large",
                Order::Submit {
                    manner: Manner::Plain,
                    ..
                } => "plain",
                Order::Submit { .. } => "once",
            };
            *met.entry(what).or_default() += 1;
        }
        assert!(
            met.len() == 7 && met.values().all(|count| *count >= 10),
            "{met:?}"
        );
    }

    #[test]
    fn only_jobs_of_submitters_are_submitted_again_or_cancelled_and_with_the_same_tasks() {
        let mut counts = BTreeMap::new();
        for (_, order) in orders(4) {
            match order {
                Order::Submit {
                    id,
                    count,
                    manner: Manner::Again { .. },
                } => assert_eq!(counts.get(&id), Some(&count)),
                Order::Submit {
                    id,
                    count,
                    manner: Manner::Once { .. },
                } => {
                    assert_eq!(counts.insert(id, count), None);
                }
                Order::Submit { .. } | Order::Group { .. } => {}
                Order::Cancel { id } => assert!(counts.contains_key(&id)),
            }
        }
    }

    #[test]
    fn an_id_that_is_given_out_is_not_given_out_again() {
        let mut orders = Orders::new(5, 2);
        let mut seen = std::collections::BTreeSet::new();
        for number in 0..1_000 {
            let id = if number % 10 == 0 {
                orders.fresh_id(Flavour::Poison)
            } else {
                match orders.next() {
                    Some((
                        _,
                        Order::Submit {
                            id,
                            manner: Manner::Plain | Manner::Once { .. },
                            ..
                        },
                    )) => id,
                    _ => continue,
                }
            };
            assert!(seen.insert(id));
        }
    }
}
