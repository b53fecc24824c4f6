//! Whole daemons in one thread, against modelled stores, in virtual time, by seed.
//!
//! ```text
//! plan ──► the real submitter, executors, watchers ── network ──► the ensemble and the store: models
//!  ▲  drawn from the seed                                │                    │
//! seed                                               faults               records ──► invariants
//! ```
//!
//! Reading order: [`plan`] (who takes part, which jobs come, what goes wrong), [`network`] (who reaches whom, how late,
//! what gets lost), [`shelf`] (where results go), [`payload`] (what tasks do), [`history`] (what was seen from
//! outside), [`trace`] (what happened, and its hash).

pub mod campaign;
mod clockwork;
pub mod cluster;
pub mod handler;
pub mod history;
pub mod invariants;
pub mod network;
pub mod payload;
pub mod plan;
pub mod redis;
pub mod run;
pub mod shelf;
mod storm;
pub mod tally;
pub mod trace;
pub mod zookeeper;
