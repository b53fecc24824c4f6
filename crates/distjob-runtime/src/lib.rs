//! What the distjob programs share that does I/O.
//!
//! The decisions are in `distjob-core`; here are the hands: ZooKeeper ([`zk`]), Redis ([`store`]), and what makes a
//! process a good daemon ([`config`] and the modules beside it).

pub mod admin;
pub mod chance;
pub mod config;
pub mod drill;
pub mod environment;
pub mod exit;
pub mod headers;
pub mod health;
pub mod joint;
pub mod member;
pub mod metrics;
pub mod program;
pub mod reach;
mod retry_after;
pub mod shutdown;
pub mod store;
mod supervise;
pub mod systemd;
pub mod telemetry;
pub mod threads;
pub mod zk;

pub use retry_after::retry_after;
