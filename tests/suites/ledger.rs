//! Sessions, the ledger and the live views, on real ZooKeeper servers.

#![expect(clippy::unwrap_used, reason = "tests panic, and so do their helpers")]

#[path = "ledger/creates.rs"]
mod creates;
#[path = "ledger/deaths.rs"]
mod deaths;
#[path = "ledger/fixture.rs"]
mod fixture;
#[path = "ledger/follow_ups.rs"]
mod follow_ups;
#[path = "ledger/groups.rs"]
mod groups;
#[path = "ledger/jobs.rs"]
mod jobs;
#[path = "ledger/locks.rs"]
mod locks;
#[path = "ledger/mishaps.rs"]
mod mishaps;
#[path = "ledger/queues.rs"]
mod queues;
#[path = "ledger/roster.rs"]
mod roster;
#[path = "ledger/terms.rs"]
mod terms;
#[path = "ledger/watches.rs"]
mod watches;
#[path = "ledger/writes.rs"]
mod writes;
