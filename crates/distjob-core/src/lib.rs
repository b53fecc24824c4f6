//! The pure part of distjob: its words, its wire formats and its decisions.
//!
//! Nothing here does I/O, reads a clock or draws a random number; nothing is `async`.
//!
//! Reading order: names ([`id`], [`zxid`]), places ([`znode`], [`keys`]), what stands there ([`job`], [`member`], [`queue`],
//! [`group`], [`flow`], [`range`], [`outcome`], [`conclusion`]), what may happen to it ([`ledger`],
//! [`belonging`]), how its tasks are handed out ([`store`]), who looks at what first
//! ([`attention`], [`share`], [`turns`], [`board`]) and at how much of it ([`width`]), and what is tried
//! again ([`retry`]), and when no more is taken in ([`pressure`]). What all of it costs the stores: [`cost`]. Words of settings: [`percent`], [`rate`].

pub mod attention;
pub mod belonging;
pub mod board;
pub mod conclusion;
pub mod cost;
pub mod docs;
pub mod executor;
pub mod flow;
pub mod group;
pub mod id;
pub mod job;
pub mod keys;
pub mod ledger;
pub mod member;
pub mod outcome;
pub mod percent;
pub mod pressure;
pub mod queue;
pub mod range;
pub mod rate;
pub mod retry;
pub mod share;
pub mod store;
pub mod submission;
pub mod trouble;
pub mod turns;
pub mod watcher;
pub mod width;
pub mod znode;
pub mod zxid;

pub use conclusion::{Conclusion, Ending};
pub use group::{GroupData, GroupEntry};
pub use id::{GroupName, JobId, MemberName, NameError, QueueName, SinkName, Token};
pub use job::{JobData, JobDataError, JobState};
pub use keys::{JobKeys, KeyScheme, Source};
pub use ledger::JobEntry;
pub use member::{Holder, MemberInfo, Roster};
pub use outcome::{Account, Outcome, Packed, Record};
pub use percent::Percent;
pub use queue::{QueueSwitches, Switchboard};
pub use range::{Lease, TaskRange};
pub use rate::Rate;
pub use share::Sharing;
pub use znode::{Layout, Role};
pub use zxid::Zxid;
