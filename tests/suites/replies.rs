//! Replies and requests that get lost or late, one at a time and at the worst moment: nothing is doubled, nothing is lost.
//!
//! Both stores stand behind proxies that know which reply belongs to which request. A test names one request, such as the
//! first commit of a job, and what befalls it.

#![expect(clippy::unwrap_used, reason = "tests panic, and so do their helpers")]

#[path = "faults/audit.rs"]
mod audit;
#[path = "replies/executor.rs"]
mod executor;
#[path = "replies/late.rs"]
mod late;
#[path = "replies/ledger.rs"]
mod ledger;
#[expect(dead_code, reason = "shared with the suite of faults, which uses all of it")]
#[path = "faults/load.rs"]
mod load;
#[path = "replies/rig.rs"]
mod rig;
#[path = "replies/submitter.rs"]
mod submitter;
#[path = "replies/views.rs"]
mod views;
#[path = "replies/watcher.rs"]
mod watcher;
#[path = "replies/whole.rs"]
mod whole;
