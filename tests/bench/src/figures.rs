//! A file for each figure.

pub(crate) mod delivery;
pub(crate) mod fanout;
pub(crate) mod handlers;
pub(crate) mod large;
pub(crate) mod members;
pub(crate) mod memory;
pub(crate) mod peers;
pub(crate) mod revisions;
pub(crate) mod sharing;
pub(crate) mod small;
pub(crate) mod submit;
pub(crate) mod tails;
pub(crate) mod takeover;
pub(crate) mod throughput;
pub(crate) mod waiting;
