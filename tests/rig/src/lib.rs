//! The fault rig: real processes and servers, faults by seed, and a checker that judges what came of it.
//!
//! Reading order:
//! - [`net`] gives every process a host of its own and rules the links between them.
//! - [`cluster`] is the set of servers and daemons on those hosts.
//! - [`plan`] draws from a seed which faults happen when; `nemesis` makes each of them happen and ends it.
//! - [`stores`] looks at both stores past all of the project's code.
//! - [`workload`] submits jobs and writes down what it was told.
//! - [`run`] is the whole of it, from the first server to the last leftover.
//! - [`expect`] says what the tasks of a job are, and what must come of them.
//! - [`history`] is all that is known of a run; [`check`] judges it, one file a promise.
//! - [`report`] makes a page of it.

pub mod check;
pub mod cluster;
pub mod expect;
pub mod history;
pub mod judge;
mod nemesis;
pub mod net;
pub mod plan;
pub mod report;
pub mod run;
pub mod stores;
pub mod workload;
