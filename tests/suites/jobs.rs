//! Jobs from their submission to their delivery, on real servers and real processes that are left alone.

#![expect(clippy::unwrap_used, reason = "tests panic, and so do their helpers")]

#[path = "jobs/backlogs.rs"]
mod backlogs;
#[path = "jobs/configuration.rs"]
mod configuration;
#[path = "jobs/crew.rs"]
mod crew;
#[path = "jobs/large.rs"]
mod large;
#[path = "jobs/lost.rs"]
mod lost;
#[path = "jobs/many.rs"]
mod many;
#[path = "jobs/payloads.rs"]
mod payloads;
#[path = "jobs/plain.rs"]
mod plain;
#[path = "jobs/service.rs"]
mod service;
#[path = "jobs/sharing.rs"]
mod sharing;
#[path = "jobs/signals.rs"]
mod signals;
#[path = "jobs/strangers.rs"]
mod strangers;

use std::time::Duration;

/// For what takes milliseconds to seconds on an idle machine.
const SOON: Duration = Duration::from_secs(40);
