//! The protocol as a model that is checked exhaustively.
//!
//! The checker begins in one state of everything, takes every choice that anybody has there, and goes on from each state
//! that it has not seen. So within the bounds of a [configuration](configurations) no order of events is left out.
//!
//! # It is no second description
//!
//! | in the model | what it is |
//! |---|---|
//! | the store | [`distjob_core::store::model::Model`], executed; a state machine test runs it and the Lua side by side |
//! | what an executor does with an answer | [`distjob_core::executor`] |
//! | what a watcher does with a job | [`distjob_core::watcher`] |
//! | who is dead | [`distjob_core::Roster::proves_dead`] |
//! | what became of an unclear write; which change is allowed | [`distjob_core::ledger`] |
//! | what a submitter decides | [`distjob_core::submission`] |
//!
//! What is written here is what lies between two decisions: which request follows, and what a process remembers
//! meanwhile. These steps follow `visit.rs`, `lease.rs`, `hands.rs` and `server.rs` of `executor-d`, `pipeline.rs` of
//! `watcher-d`, `staging.rs` and `staging/commit.rs` of `submitter`, `cancel.rs` of `distjobctl` and `zk/ledger.rs` of
//! `distjob-runtime`, and are to be changed with them. Follow-ups and archives (`zpd`) are in the protocol and not yet in
//! the daemons; they are modelled as the protocol has them.
//!
//! Groups have a [model of their own](groups): two members, two watchers, one join.
//!
//! # What may happen
//!
//! A process takes one step: one request is executed and answered, and other processes may act before the next one. And:
//!
//! * it is killed; its session, and with it its locks, outlives it until it expires at some later moment;
//! * its session expires, and it goes on until it hears of that, at some later moment;
//! * a request is not answered: it is executed at any later moment, or never, while its process does what it does then;
//! * a script is executed a second time, at any later moment;
//! * views of the jobs and of the executors lag behind for as long as they like;
//! * the store goes back to any earlier state, which cuts all connections to it;
//! * a list of tasks expires that somebody still needs;
//! * the tasks of a lease are committed in any order, and the end of a lease is given back;
//! * an executor leaves in good order; an operator cancels; a task kills who runs it; an id is submitted twice, or again.
//!
//! Each configuration says how often each of these happens at most. Which ones meet is in [`configurations`].
//!
//! # What must hold
//!
//! One file an [invariant](Invariant). Seven look at each transition: the state before, what happened, the state after. The
//! eighth, that every job ends and leaves nothing behind, is asked of every state by a run on which nothing goes wrong any
//! more. That such a run *can* end from everywhere is what is shown, with one fair scheduler; not that all schedulers end.
//!
//! # What is not modelled
//!
//! * Shares, help and widths: hints. Any job that is not put aside may be visited at any time.
//! * Time. A rest has no length; tombstones do not expire, for nothing may be older than one; lists expire when nobody looks
//!   after them.
//! * An emptied or foreign store: the ledger mark is always right. Single keys that vanish: the store's suites take them
//!   away one by one. Restoring a lost job.
//! * Why a task is run late: handlers that run several at once, and waits before a task is tried again, are choices.
//! * Sizes: payloads of two bytes, commits of one task, slices of two. Files: a publication is one step.
//! * The insides of ZooKeeper and Redis. Both execute one request after the other; the ledger's order of writes is that of
//!   its leader, and what followers have not heard of shows in the views.
//!
//! # Known gaps
//!
//! Three orders of events break a promise, or would. Each needs a request to ZooKeeper that is executed after the session
//! that sent it has asked for a `sync` and has gone on.
//!
//! * ZooKeeper compares versions, and an id that is used again begins with the same ones. A write that was meant for an
//!   ended life, and arrives in the next one at the same version, would change that one. Left out, see `gaps` in
//!   [`Bounds`].
//! * A late request to give back a lock takes the *next* lock on that job away, and if another session took that one, two
//!   watchers work on the job; the version of the job's znode then decides who is first. With `gaps` the checker finds it, and a
//!   test says so. Left out elsewhere.
//! * A `create` without a reply may take effect after the submitter has looked for it. If the job is then delivered and
//!   deleted before the submitter's next step, that step creates it once more, without tasks: it becomes `lost`,
//!   and the submitter reports a failure. The checker finds that in every configuration with an unclear request;
//!   the first invariant lets it pass, and nothing else.
//!
//! # How far it can be trusted
//!
//! States are told apart by fingerprints of 64 bits, so that two different ones may be taken for one; at ten million
//! states the probability that this happens at all is about one in 400,000. [Seeded bugs](mutant) show that the promises are
//! looked at: the checker must find each of them, and a test names the promise that each breaks.
//!
//! ```sh
//! cargo run --release -p distjob-model                                 # the small configurations
//! cargo run --release -p distjob-model -- --all                        # and the large ones
//! cargo run --release -p distjob-model -- --mutant absence-is-death    # how a seeded bug is found
//! cargo run --release -p distjob-model -- list
//! ```

#![expect(
    clippy::cast_possible_truncation,
    reason = "there are a handful of processes and tasks"
)]
#![expect(
    clippy::large_enum_variant,
    reason = "requests and actions are short-lived, and seldom more than a few at a time"
)]

pub mod bounds;
mod check;
pub mod configurations;
mod executor;
mod fair;
pub mod groups;
mod invariants;
mod ledger;
mod moves;
pub mod mutant;
mod protocol;
pub mod request;
mod rules;
mod store;
mod submitter;
mod watcher;
mod world;

pub use bounds::Bounds;
pub use check::{Counterexample, Verdict, check};
pub use invariants::{Broken, Invariant};
pub use moves::Move;
pub use mutant::Mutant;
pub use protocol::{Action, Fate, Protocol};
pub use world::World;
