//! The watcher alone: real stores and real processes, with this test in the part of submitter and executor.

#![expect(clippy::unwrap_used, reason = "tests panic, and so do their helpers")]

#[path = "watcher/deaths.rs"]
mod deaths;
#[path = "watcher/deliveries.rs"]
mod deliveries;
#[path = "watcher/endings.rs"]
mod endings;
#[path = "watcher/losses.rs"]
mod losses;
#[path = "watcher/manners.rs"]
mod manners;
#[path = "watcher/pipelines.rs"]
mod pipelines;
#[path = "watcher/retries.rs"]
mod retries;
#[path = "watcher/sinks.rs"]
mod sinks;
#[path = "watcher/stage.rs"]
mod stage;

use std::time::Duration;

/// For what takes milliseconds on an idle machine.
const SOON: Duration = Duration::from_secs(30);
