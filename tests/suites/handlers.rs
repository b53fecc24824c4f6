//! Handlers of every kind in real executors: what they make of tasks, what they bound, and what they leave behind.

#![expect(clippy::unwrap_used, reason = "tests panic, and so do their helpers")]

#[path = "handlers/bounds.rs"]
mod bounds;
#[path = "handlers/command.rs"]
mod command;
#[path = "handlers/crew.rs"]
mod crew;
#[path = "handlers/endings.rs"]
mod endings;
#[path = "handlers/http.rs"]
mod http;
#[path = "handlers/worker.rs"]
mod worker;

use std::time::Duration;

/// For what takes milliseconds to seconds on an idle machine.
const SOON: Duration = Duration::from_secs(40);
