//! A file for each figure.

pub(crate) mod handlers;
pub(crate) mod large;
pub(crate) mod small;
pub(crate) mod tails;
pub(crate) mod throughput;
