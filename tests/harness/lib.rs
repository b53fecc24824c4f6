//! The harness: real servers, real processes, and faults at the moment a test chooses.
//!
//! Reading order:
//! - [`World`] is what a test starts with: a ZooKeeper and a Redis, a root znode and a key prefix of its own in them, ways
//!   to start the project's programs there and to look at what came of it.
//! - [`servers`] starts, stops, kills and pauses the servers, and expires sessions.
//! - [`Proxy`] stands between a program and a server: it cuts, refuses, holds, delays, and loses one chosen reply.
//! - [`Process`] is one of the project's programs: its log, signals, exit status and memory.
//! - [`Receiver`] is what an `http` handler posts to: it answers well, badly, late, or never.
//! - [`S3`] is where results are uploaded to; [`http`] asks anything that speaks HTTP.
//! - [`eventually()`] waits for what has no event.
//! - [`audit`] reads what was done to the ledger from the servers' own logs.
//! - [`svg`] is for pictures of what came of it all.
//!
//! Functions return errors and start nothing in the background that outlives their value, so that other tools than tests
//! can use them. Tests unwrap at once: a panic, unlike an error returned from a test, lets a dropped [`Process`] print its
//! log.
//!
//! Every child process dies with the process that started it, however that ends ([`child`]).

mod admin;
pub mod audit;
pub mod child;
mod eventually;
pub mod http;
mod log;
mod oracle;
mod ports;
mod process;
mod proxy;
mod receiver;
pub mod servers;
pub mod svg;
mod world;

pub use self::admin::Answer;
pub use self::child::Child;
pub use self::eventually::{eventually, within};
pub use self::log::{Log, Mark};
pub use self::oracle::is_prime;
pub use self::ports::{Port, unique};
pub use self::process::{Process, Program};
pub use self::proxy::{Direction, Effect, Fault, Proxy, Trigger, Wire};
pub use self::receiver::{Received, Receiver, Reply, Then};
pub use self::servers::{AppendOnly, Ensemble, Place, Redis, S3, Seat, Server, ZooKeeper};
pub use self::world::{Delivered, KEEP, Key, Member, SHARED_REDIS, SHARED_ZOOKEEPER, World, is_delivered};
