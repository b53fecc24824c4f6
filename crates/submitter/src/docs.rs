//! Documents for those who hand tasks in, to `submitter run` or from cron. How all of distjob is built stands in `distjob_core::docs`.

#[doc = include_str!("docs/files.md")]
pub mod files {}

#[doc = include_str!("docs/http.md")]
pub mod http {}

#[doc = include_str!("docs/lines.md")]
pub mod lines {}

#[doc = include_str!("docs/redis.md")]
pub mod redis {}
