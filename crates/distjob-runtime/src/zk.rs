//! ZooKeeper: sessions, the ledger's writes, the live views of jobs and members.
//!
//! Reading order: [`Session`] (one connection to the ensemble and what its errors mean), [`Ledger`] (every read and
//! write of a job's znode and lock, with unclear replies settled), [`RosterView`], [`JobsView`] and
//! [`QueuesView`] (what others do),
//! [`Term`] (one session's life as a member: all of the above together), [`JobWatch`] (a single job, for somebody who
//! waits for it). Below them all lies [`client`]: what is asked of a ZooKeeper client.

pub mod client;

mod error;
mod jobs;
mod ledger;
mod own;
mod queues;
mod roster;
mod session;
mod switch;
mod term;
mod watch;

pub use error::ZkError;
pub use jobs::{Audience, JobChange, JobsView};
pub use ledger::{
    Created, GroupLook, GroupRead, JobRead, Joining, Ledger, Lock, Locking, Membership, Seat, Settling,
    Written,
};
pub use queues::QueuesView;
pub use roster::RosterView;
pub use session::{ConnectionWatch, Session, SessionSettings, Settlement};
pub use switch::Switched;
pub use term::{Term, TermSettings};
pub use watch::JobWatch;
