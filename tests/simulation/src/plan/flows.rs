//! Which jobs follow which.

use std::collections::BTreeMap;

use distjob_core::QueueName;
use rand::{RngExt as _, rngs::StdRng};
use watcher_d::{Payload, Results, StepConfig, Steps, When};

/// The queues in which jobs are submitted, and those that only follow-ups are in.
pub const QUEUES: [&str; 4] = ["default", "primes", "second", "third"];

/// The steps of each queue that has some.
pub type Flows = BTreeMap<QueueName, Steps>;

/// A step: from which queue, to which, and of which tasks the values go there.
type Arrow = (&'static str, &'static str, Results);

const CHAIN: &[Arrow] = &[
    ("default", "second", Results::Ok),
    ("second", "third", Results::Ok),
];

const FAN: &[Arrow] = &[
    ("default", "second", Results::Ok),
    ("default", "third", Results::Err),
    ("primes", "second", Results::All),
];

const BOTH: &[Arrow] = &[
    ("default", "second", Results::Ok),
    ("default", "third", Results::Err),
    ("primes", "second", Results::Ok),
    ("second", "third", Results::All),
];

/// Draws the workflows of a run.
pub(super) fn flows(rng: &mut StdRng) -> Flows {
    let arrows = [&[], CHAIN, FAN, BOTH][rng.random_range(0..4)];
    let mut flows = Flows::new();
    for (from, to, results) in arrows {
        let step = StepConfig {
            queue: Some(queue(to)),
            results: *results,
            payload: Payload::Value,
            when: vec![When::Succeeded, When::PartlyFailed, When::Failed],
            join: false,
        };
        flows
            .entry(queue(from))
            .or_default()
            .insert((*to).to_owned(), step);
    }
    for from in ["default", "primes"] {
        let join = StepConfig {
            queue: Some(queue("third")),
            results: Results::Ok,
            payload: Payload::Archive,
            when: vec![When::Succeeded],
            join: true,
        };
        flows
            .entry(queue(from))
            .or_default()
            .insert("join".to_owned(), join);
    }
    flows
}

fn queue(name: &str) -> QueueName {
    QueueName::new(name).unwrap_or_else(|_| unreachable!("letters make a name"))
}
