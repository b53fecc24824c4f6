//! Jobs that follow jobs: watchers on real stores, with this test in the part of submitter and executor; and whole
//! workflows.

#![expect(clippy::unwrap_used, reason = "tests panic, and so do their helpers")]

#[path = "faults/audit.rs"]
mod audit;
#[path = "flows/chains.rs"]
mod chains;
#[path = "flows/deaths.rs"]
mod deaths;
#[path = "flows/expiry.rs"]
mod expiry;
#[path = "flows/groups.rs"]
mod groups;
#[path = "faults/load.rs"]
#[expect(dead_code, reason = "what only the suite of faults needs stands there, too")]
mod load;
#[path = "flows/losses.rs"]
mod losses;
#[path = "flows/plot.rs"]
mod plot;
#[path = "replies/rig.rs"]
#[expect(dead_code, reason = "what only the suite of replies needs stands there, too")]
mod rig;
#[path = "watcher/stage.rs"]
#[expect(
    dead_code,
    reason = "what only the suite of the watcher needs stands there, too"
)]
mod stage;
#[path = "flows/steps.rs"]
mod steps;

use std::time::Duration;

/// For what takes milliseconds to seconds on an idle machine.
const SOON: Duration = Duration::from_secs(40);
