//! Asks programs that stay, in lines of JSON over their standard input and output.
//!
//! The protocol, and what becomes of the tasks of a process that breaks it, stands in [`crate::docs::handlers`].
//!
//! ```text
//!  Worker ── run(tasks) ──► Shift ── take ──► Pool     (idle processes; how often the program failed)
//!                             │                 │ starts
//!                             └─ ask, next ──► Process (what it was asked; request, reply: the lines)
//! ```
//!
//! **Architecture invariant:** a [process](process::Process) knows its tasks, and says which is to blame when it breaks;
//! whether that counts is decided in [one place](shift::Shift), and nothing else looks at it.

use std::{
    ffi::OsString,
    num::{NonZeroU64, NonZeroUsize},
    os::unix::ffi::OsStringExt as _,
    sync::Arc,
};

use distjob_core::QueueName;
use futures::{FutureExt as _, future::BoxFuture};
use prometheus_client::metrics::gauge::Gauge;

use self::{pool::Pool, settings::WorkerSettings, shift::Shift};
use super::{
    Handler, Tasks,
    process::{Spawner, Starts},
};
use crate::config::QueueConfig;

mod pool;
mod process;
mod reply;
mod request;
mod settings;
mod shift;

#[cfg(test)]
mod tests;
/// Runs tasks in processes that stay.
#[derive(Debug)]
pub(crate) struct Worker(Arc<Pool>);

impl Worker {
    /// For a queue with this configuration, whose processes `spawner` starts; `failures` tells how often in turn they were of
    /// no use.
    pub(crate) fn new(queue: &QueueName, spawner: Spawner, config: &QueueConfig, failures: Gauge) -> Self {
        let fill = |_| queue.as_str().as_bytes().into();
        let argv = config
            .worker
            .argv
            .iter()
            .map(|argument| OsString::from_vec(argument.fill(fill)));
        let in_flight = usize::try_from(config.worker.in_flight).unwrap_or(usize::MAX);
        let settings = WorkerSettings {
            queue: queue.clone(),
            spawner,
            argv: argv.collect(),
            in_flight: NonZeroUsize::new(in_flight).unwrap_or(NonZeroUsize::MIN),
            tasks_per_process: NonZeroU64::new(config.worker.tasks_per_process.into()),
            timeout: config.timeout(),
        };
        Self(Arc::new(Pool::new(settings, Starts::new(failures))))
    }
}

impl Handler for Worker {
    fn run(&self, tasks: Tasks) -> BoxFuture<'static, ()> {
        let pool = Arc::clone(&self.0);
        async move { Shift::new(&pool, tasks).run().await }.boxed()
    }
}
