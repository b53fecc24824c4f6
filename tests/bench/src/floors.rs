//! Floors: tight programs that make the stores do the work of a figure, and nothing else.

pub(crate) mod file;
pub(crate) mod least;
pub(crate) mod ledger;
pub(crate) mod pipe;
pub(crate) mod redis;
