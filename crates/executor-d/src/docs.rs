//! Documents for those who put an executor to work. How all of distjob is built stands in `distjob_core::docs`.

#[doc = include_str!("docs/handlers.md")]
pub mod handlers {}

#[doc = include_str!("docs/queues.md")]
pub mod queues {}
