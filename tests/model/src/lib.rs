//! The protocol as a model that is checked exhaustively.

#![expect(
    clippy::cast_possible_truncation,
    reason = "there are a handful of processes and tasks"
)]
#![expect(
    clippy::large_enum_variant,
    reason = "requests and actions are short-lived, and seldom more than a few at a time"
)]

pub mod bounds;
mod check;
pub mod configurations;
mod executor;
mod fair;
mod invariants;
mod ledger;
mod moves;
pub mod mutant;
mod protocol;
pub mod request;
mod rules;
mod store;
mod submitter;
mod watcher;
mod world;

pub use bounds::Bounds;
pub use check::{Counterexample, Verdict, check};
pub use invariants::{Broken, Invariant};
pub use moves::Move;
pub use mutant::Mutant;
pub use protocol::{Action, Fate, Protocol};
pub use world::World;
