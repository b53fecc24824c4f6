//! Queues that share executors: weights, priorities, bounds and rates; what is paused, cancelled, or waits.

#![expect(clippy::unwrap_used, reason = "tests panic, and so do their helpers")]

#[path = "queues/bounds.rs"]
mod bounds;
#[path = "jobs/crew.rs"]
#[expect(dead_code, reason = "what only the suite of jobs needs stands there, too")]
mod crew;
#[path = "queues/fair.rs"]
mod fair;
#[path = "queues/orders.rs"]
mod orders;
#[path = "queues/site.rs"]
mod site;
#[path = "queues/switches.rs"]
mod switches;
#[path = "queues/tails.rs"]
mod tails;

use std::time::Duration;

/// For what takes milliseconds to seconds on an idle machine.
const SOON: Duration = Duration::from_secs(40);
