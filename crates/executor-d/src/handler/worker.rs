//! Asks programs that stay, in lines of JSON over their standard input and output.
//!
//! # The protocol, version 1
//!
//! The executor starts the program once for each slot that needs it and keeps it. Every line of its standard input is a
//! request, in UTF-8, one JSON object without line breaks of any kind in it:
//!
//! ```json
//! {"id":7,"job":"report-2","index":41,"attempt":1,"queue":"thumbs","key":"report-2.00000000000000ff.41","payload":"a.jpg"}
//! ```
//!
//! | field | what |
//! |---|---|
//! | `id` | the request's number in this process: 1, 2, 3 and so on |
//! | `job`, `index` | which task it is; `index` counts from 0 |
//! | `attempt` | which run of this task, from 1 |
//! | `queue` | the job's queue |
//! | `key` | the idempotency key: the same for each attempt of this task on any machine, and for no other task |
//! | `payload` | the task, a string. When it is no UTF-8, there is `payload_base64` instead |
//!
//! Every line of its standard output is a reply, in any order, and each request has exactly one:
//!
//! ```json
//! {"id":7,"value":"128x96"}
//! {"id":8,"value_base64":"/9j/4AAQ"}
//! {"id":9,"error":"the server is busy","retry_after_ms":5000}
//! {"id":10,"error":"no such picture","final":true}
//! ```
//!
//! | field | what |
//! |---|---|
//! | `id` | of the request; may be left out with `in_flight = 1` |
//! | `value` | the task's value: of a string what it says, of any other JSON its text as it stands |
//! | `value_base64` | instead: bytes that need not be text |
//! | `error` | instead: why there is none, for people. The task is retried as the queue's policy has it |
//! | `retry_after_ms` | with `error`: no sooner than this |
//! | `final` | with `error`: `true` when another attempt is of no use |
//!
//! Lines end with a newline and have at most `bounds.output_max` bytes without it. A field that is `null` is as good as
//! none. Both sides pass over fields that they do not know; what is a different protocol will have another number in
//! the environment variable `DISTJOB_WORKER_PROTOCOL`, which is `1`. `DISTJOB_QUEUE` and `DISTJOB_IN_FLIGHT` stand
//! beside it.
//!
//! * Standard output is for replies only. Anything else in it is garbage, and ends the process; so does a reply to what
//!   was not asked.
//! * Standard error is for people: it goes to the executor's log at the level `debug`, and the end of what came since
//!   the process was last idle is kept with the error of a task.
//! * At most `in_flight` requests are unanswered at a time. The next one may be written before the last is answered
//!   only when that is more than 1.
//! * The end of the standard input means: finish. A process that was idle has `bounds.kill_after` to do so, then TERM,
//!   then KILL. One that is asked something when its job is cancelled gets TERM at once.
//! * A task may take `timeout` from when it is asked, however many are in flight. Then the process group is ended.
//!
//! A process that ends, takes too long or writes garbage is replaced. When one task was in flight, that was an attempt
//! of it. With several nobody knows which one it was: all of them are run again, alone, and it does not count as an
//! attempt. (A timeout, and garbage with an `id`, do tell.)
//!
//! A program may end of its own will when it has answered all that it has read, with the exit status 0: what it was asked
//! meanwhile is asked of another process, and does not count as an attempt either.
//!
//! A program that cannot be started, or ends before it has answered anything, uses up no attempts: the tasks of the
//! queue wait, the log says why, and it is started again after 100 ms to 10 s.
use std::{
    ffi::OsString,
    num::{NonZeroU64, NonZeroUsize},
    os::unix::ffi::OsStringExt as _,
    sync::Arc,
};

use distjob_core::QueueName;
use futures::{FutureExt as _, future::BoxFuture};

use self::{pool::Pool, settings::WorkerSettings, shift::Shift};
use super::{Handler, Tasks, process::Spawner};
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
    /// For a queue with this configuration, whose processes `spawner` starts.
    pub(crate) fn new(queue: &QueueName, spawner: Spawner, config: &QueueConfig) -> Self {
        let fill = |_| queue.as_str().as_bytes().into();
        let argv = config
            .worker
            .argv
            .iter()
            .map(|argument| OsString::from_vec(argument.fill(fill)));
        let in_flight = usize::try_from(config.worker.in_flight).unwrap_or(usize::MAX);
        Self(Arc::new(Pool::new(WorkerSettings {
            queue: queue.clone(),
            spawner,
            argv: argv.collect(),
            in_flight: NonZeroUsize::new(in_flight).unwrap_or(NonZeroUsize::MIN),
            tasks_per_process: NonZeroU64::new(config.worker.tasks_per_process.into()),
            timeout: config.timeout(),
        })))
    }
}

impl Handler for Worker {
    fn run(&self, tasks: Tasks) -> BoxFuture<'static, ()> {
        let pool = Arc::clone(&self.0);
        async move { Shift::new(&pool, tasks).run().await }.boxed()
    }
}
