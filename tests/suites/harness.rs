//! The harness keeps its own promises.

#[path = "harness/objects.rs"]
mod objects;
#[path = "harness/processes.rs"]
mod processes;
#[path = "harness/proxies.rs"]
mod proxies;
#[path = "harness/servers.rs"]
mod servers;
#[path = "harness/worlds.rs"]
mod worlds;

use std::time::Duration;

/// For what takes milliseconds on an idle machine.
const SOON: Duration = Duration::from_secs(20);
