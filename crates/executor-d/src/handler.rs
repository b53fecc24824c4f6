//! What is done with tasks.
//!
//! A [`Handler`] runs the [tasks](Tasks) of a lease in its own way: on threads, in processes, over a network. One that
//! only computes is a [`Function`], and runs [on a thread](OnThread); one that mostly waits is an [`AsyncFunction`], and
//! runs [several tasks at once](Concurrently). [`Trial`] tries any of them out, without stores.
//!
//! ```
//! use distjob_executor::handler::{Failure, Function, Job, OnThread, Task, Trial, Verdict};
//!
//! /// Counts words.
//! #[derive(Debug)]
//! struct Words;
//!
//! impl Function for Words {
//!     fn handle(&self, _: &Job, task: &Task) -> Verdict {
//!         let text = str::from_utf8(task.payload()).map_err(|_| Failure::new("no text").is_final())?;
//!         Ok(text.split_whitespace().count().to_string().into_bytes().into())
//!     }
//! }
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let verdicts = Trial::new("texts".parse().unwrap(), ["to be or not to be"]).run(&OnThread::new(Words)).await;
//! assert_eq!(verdicts[&0], Ok(b"6".into()));
//! # });
//! ```

mod book;
mod command;
mod concurrently;
mod failure;
mod handlers;
pub(crate) mod http;
mod on_thread;
mod prime;
mod process;
mod stretch;
mod task;
mod tasks;
mod trial;
mod window;
mod worker;

#[cfg(debug_assertions)]
mod drill;

use std::{borrow::Cow, fmt};

pub use futures::future::BoxFuture;

#[cfg(debug_assertions)]
pub use self::drill::Drill;
pub(crate) use self::process::Bounds;
pub use self::{
    concurrently::{AsyncFunction, Concurrently},
    failure::{Failure, Retry},
    handlers::Handlers,
    http::Http,
    on_thread::{Function, OnThread},
    prime::Prime,
    stretch::{Ran, Stretch},
    task::{Job, Task},
    tasks::Tasks,
    trial::Trial,
};
pub(crate) use self::{
    process::{keep, processes_ended},
    tasks::{CommitLimits, Terms},
};

/// What a handler says of a task: its value, or why there is none.
pub type Verdict = Result<Cow<'static, [u8]>, Failure>;

/// Turns tasks into outcomes.
///
/// A task may be run more than once, by several executors, even at the same time; one of the outcomes is recorded.
pub trait Handler: fmt::Debug + Send + Sync + 'static {
    /// Runs one lease, or a part of it: begins tasks for as long as [`Tasks::next`] gives one, as many at once as it
    /// likes, and [records](Tasks::record) each. Ends when there is none left and all that were begun are recorded;
    /// what it forgot counts as failed. Each slot of the executor runs one such call at a time, all of them on the thread
    /// of the executor's loop: what computes or blocks needs a thread of its own.
    ///
    /// # Cancel safety
    /// Dropped when nobody wants the outcomes any more: the job was cancelled, its deadline has passed, or the
    /// executor's session is over. Whatever was begun must be brought to its end then, within a second or so.
    fn run(&self, tasks: Tasks) -> BoxFuture<'static, ()>;
}
