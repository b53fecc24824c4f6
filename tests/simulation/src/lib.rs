//! Whole daemons in one thread, against modelled stores, in virtual time, by seed.
//!
//! Reading order: [`trace`] (what happened, and its hash), [`network`] (who reaches whom, how late, what gets lost).

pub mod network;
pub mod trace;
