//! Makes jobs of tasks.
//!
//! ```text
//!  file, pipe or random numbers
//!       │  lines: one task a line              a thread of its own
//!       │  pieces: jobs, and batches of them
//!       ▼
//!  staging: push … push, keep alive            Redis, invisible, expires by itself
//!       │
//!  create ─ open                               ZooKeeper, then Redis: now it is a job
//!       │
//!  the id on stdout
//! ```
//!
//! Until the znode is created nothing of a job is visible, whatever happens; after `open` has answered it is whole, and
//! safe. What lies between is in [`staging`]: it ends with one of the two, or takes the job back.
//!
//! Memory is bounded by a few batches, whatever the size of the input. While one job's tasks are read, some jobs before it
//! are being [committed](commits).
//!
//! That is one input, [`once`]. The service that takes tasks in where they arise is [`run`], over the same staging; what
//! others need to know of it stands in [`docs`].

mod cli;
mod commits;
mod config;
mod deadline;
mod digest;
pub mod docs;
mod feed;
pub mod lines;
mod lock;
pub mod once;
mod pieces;
mod progress;
mod random;
pub mod run;
pub mod staging;

pub use cli::{Args, Order, Work};
pub use config::{Config, EMBEDDED_CONFIG, SubmitterConfig};
