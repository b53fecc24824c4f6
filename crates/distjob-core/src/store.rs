//! The job store: what its scripts are asked, what they answer, and what they do.
//!
//! **A job is the line `[0, n)` cut into pieces.** At every moment each piece is exactly one of four:
//!
//! ```text
//!  0                                                   cursor                n
//!  ├── committed ──┼── leased by a ──┼─ freed ─┼─ committed ─┼── unreached ──┤
//! ```
//!
//! Every script keeps that partition, does bounded work, and may be delivered twice or late. They are Lua, run by the
//! store; this module is their other half, free of I/O:
//!
//! | script | asks | answers |
//! |---|---|---|
//! | `push` | append these tasks to my list, of which this many are there | [`Push`] |
//! | `open` | make the list the job's tasks | [`Open`] |
//! | `claim` | lease me tasks; with `want` 0: what do I hold that I do not know of? | [`Claim`] |
//! | `commit` | these are the outcomes of a run of tasks in my lease | [`Commit`] |
//! | `release` | give back a run of tasks in my lease | [`Commit`] |
//! | `free` | give back all that this holder leased | number of ranges |
//! | `read` | the next tasks with their outcomes | [`Read`] |
//! | `status` | what a watcher decides by | [`Status`] |
//! | `drop` | forget the job, but for a tombstone | [`DropReply`] |
//! | `staged` | the next tasks of a list that was not opened | payloads |
//! | `take` | may so many tasks of this queue begin? | [`Tokens`](crate::rate::Tokens) |
//! | `inspect` | everything, for people | [`Inspection`] |
//!
//! Every script of a job but `push` and `staged` names the life `J` of the id that it speaks of. The store's `meta` names the life that it
//! knows: an older one is as good as absent, a newer one makes the caller's view stale.
//!
//! [`model::Model`] does the same in plain Rust. A state machine test drives it and the scripts side by side.
//!
//! # A store that lost keys
//!
//! Losing some of a job's keys must make the job `lost`, never short. `claim` answers [`Claim::Broken`] when the
//! tasks are not `n`, when a piece cannot be read, and when nothing is left to give although committed and leased
//! pieces do not add up to `n`. An executor then asks a watcher to look. `status` tells the watcher whether the pieces
//! add up ([`Status::Open::whole`]), `read` tells it of lost outcomes ([`Read::Hole`]).
//!
//! # Which lease is it?
//!
//! A lease has no name. Tasks may be committed in any order, and each commit leaves of the lease what lies before it
//! and what lies after it: up to two leases, with the deaths of the one. A release does the same.
//!
//! The executor tells `claim` the ranges that it has work on. A lease that lies in one of them is known, whatever was
//! cut off it meanwhile, and whether the executor has heard of that yet or not; any other comes back first: a lost
//! reply leaks nothing. It follows that
//!
//! * one holder has at most one `claim` under way for a job at a time, or the second is answered with what the first was
//!   just granted;
//! * what is released leaves the ranges in hand before the request is sent: the store may lease it to the same holder
//!   again at once;
//! * a lease that comes back may overlap what is in hand, where the store went back to an earlier state: that is nothing
//!   new. What of it nobody has work on comes back when the work in hand has ended.

pub mod model;

mod inspection;
mod parse;
mod payloads;
mod reply;
mod request;
mod wire;

pub use inspection::{Inspection, Meta, MetaState};
pub use parse::{parse_freed, parse_staged, parse_tokens};
#[cfg(test)]
pub(crate) use payloads::pack;
pub use payloads::{NoRun, Payloads};
pub use reply::{Chunk, Claim, Commit, DropReply, Grant, Open, Push, Read, Slice, Standing, Status};
pub use request::{ClaimRequest, CommitRequest, Isolated, PushRequest, ReadRequest, ReleaseRequest};
pub use wire::ReplyError;

/// Most tasks that one claim grants, whatever it wants: the work of one call stays bounded.
pub const GRANT_TASKS_MAX: u64 = 65_536;

/// How many freed ranges one claim looks at to find one that it may give out.
pub const FREED_SCANNED_MAX: usize = 64;

/// How many bytes of payload are in an answer of `staged` at most, unless a single one is larger.
pub const STAGED_BYTES_MAX: u64 = 4 << 20;

/// Most freed ranges that an [`Inspection`] lists.
pub const FREED_LISTED_MAX: usize = 1000;
