//! Functions that wait, several at once.

use std::{fmt, num::NonZeroUsize, sync::Arc};

use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};

use super::{Handler, Job, Task, Tasks, Verdict};

/// Turns one payload into an outcome, and waits for something outside of the process meanwhile.
///
/// It shares a thread with all else that the executor does: between two waits it may take a millisecond, not more. What
/// computes for longer goes to `tokio::task::spawn_blocking`, or is a [`Function`](super::Function).
pub trait AsyncFunction: fmt::Debug + Send + Sync + 'static {
    /// Handles one task. Takes as long as it needs.
    ///
    /// # Cancel safety
    /// When the future is dropped, nobody wants the outcome any more, and whatever was begun for it must end soon.
    fn handle<'a>(&'a self, job: &'a Job, task: &'a Task) -> BoxFuture<'a, Verdict>;
}

/// Runs tasks as futures, a number of them at once in each slot, and records each when it is done.
#[derive(Debug)]
pub struct Concurrently<F> {
    function: Arc<F>,
    at_once: NonZeroUsize,
}

impl<F: AsyncFunction> Concurrently<F> {
    /// A handler that calls `function` for `at_once` tasks of a lease at the same time.
    #[must_use]
    pub fn new(function: F, at_once: NonZeroUsize) -> Self {
        Self {
            function: Arc::new(function),
            at_once,
        }
    }
}

impl<F: AsyncFunction> Handler for Concurrently<F> {
    fn run(&self, tasks: Tasks) -> BoxFuture<'static, ()> {
        let function = Arc::clone(&self.function);
        let at_once = if tasks.alone() { 1 } else { self.at_once.get() };
        async move {
            let mut running = FuturesUnordered::new();
            let mut are_left = true;
            while are_left || !running.is_empty() {
                tokio::select! {
                    biased;
                    Some(()) = running.next(), if !running.is_empty() => {}
                    () = tasks.room(), if are_left && running.len() < at_once => match tasks.next() {
                        Some(task) => running.push(handle(Arc::clone(&function), tasks.clone(), task)),
                        None => are_left = false,
                    }
                }
            }
        }
        .boxed()
    }
}

async fn handle(function: Arc<impl AsyncFunction>, tasks: Tasks, task: Task) {
    let verdict = function.handle(tasks.job(), &task).await;
    tasks.record(task, verdict);
}
