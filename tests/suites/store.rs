//! The job store's scripts and their client, on a real Redis.

#![expect(clippy::unwrap_used, reason = "tests panic, and so do their helpers")]

#[path = "store/arguments.rs"]
mod arguments;
#[path = "store/calls.rs"]
mod calls;
#[path = "store/client.rs"]
mod client;
#[path = "store/cuts.rs"]
mod cuts;
#[path = "store/draw.rs"]
mod draw;
#[path = "store/dump.rs"]
mod dump;
#[path = "store/fixture.rs"]
mod fixture;
#[path = "store/leases.rs"]
mod leases;
#[path = "store/lives.rs"]
mod lives;
#[path = "store/losses.rs"]
mod losses;
#[path = "store/machine.rs"]
mod machine;
#[path = "store/rates.rs"]
mod rates;
#[path = "store/steps.rs"]
mod steps;
