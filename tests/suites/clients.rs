//! Programs that know nothing of distjob but what its documents say: the example clients, and the example that is built of
//! everything.

#![expect(clippy::unwrap_used, reason = "tests panic, and so do their helpers")]

#[path = "clients/caller.rs"]
mod caller;
#[path = "clients/faults.rs"]
mod faults;
#[path = "clients/promises.rs"]
mod promises;
#[path = "clients/words.rs"]
mod words;

use std::time::Duration;

/// For what takes seconds on an idle machine.
const SOON: Duration = Duration::from_secs(90);
