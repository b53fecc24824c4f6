//! Documents for those who put a watcher to work. How all of distjob is built stands in `distjob_core::docs`.

#[doc = include_str!("docs/pipelines.md")]
pub mod pipelines {}

#[doc = include_str!("docs/sinks.md")]
pub mod sinks {}

#[doc = include_str!("docs/workflows.md")]
pub mod workflows {}
