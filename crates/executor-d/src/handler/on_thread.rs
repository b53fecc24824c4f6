//! Functions that compute, on threads.

use std::{fmt, sync::Arc};

use futures::{FutureExt as _, future::BoxFuture};
use tokio::task::spawn_blocking;

use super::{Handler, Job, Stretch, Task, Tasks, Verdict};

/// Turns one payload into an outcome, and needs nothing but the processor, or a thread that may sleep.
pub trait Function: fmt::Debug + Send + Sync + 'static {
    /// Handles one task. Takes as long as it needs.
    fn handle(&self, job: &Job, task: &Task) -> Verdict;
}

/// Runs the tasks of each lease one after the other on a thread of its own.
///
/// Nobody can end a thread: a task that runs goes on to its end there, whatever becomes of the job; the next one does
/// not begin.
///
/// The outcome of a task that needed no second attempt comes without an account of it: it is as small as its value.
#[derive(Debug)]
pub struct OnThread<F>(Arc<F>);

impl<F: Function> OnThread<F> {
    /// A handler that calls `function`.
    #[must_use]
    pub fn new(function: F) -> Self {
        Self(Arc::new(function))
    }
}

impl<F: Function> Handler for OnThread<F> {
    fn run(&self, tasks: Tasks) -> BoxFuture<'static, ()> {
        let function = Arc::clone(&self.0);
        async move {
            loop {
                tasks.room().await;
                let Some(mut stretch) = tasks.stretch() else {
                    return;
                };
                let function = Arc::clone(&function);
                let thread = spawn_blocking(move || {
                    run(&*function, &mut stretch);
                    stretch.end()
                });
                match thread.await {
                    Ok(ran) => tasks.record_stretch(ran),
                    Err(error) => match error.try_into_panic() {
                        Ok(panic) => std::panic::resume_unwind(panic),
                        // The runtime is going down, and this future with it.
                        Err(_) => std::future::pending().await,
                    },
                }
            }
        }
        .boxed()
    }
}

fn run(function: &impl Function, stretch: &mut Stretch) {
    let job = Arc::clone(stretch.job());
    stretch.begin();
    while let Some(task) = stretch.task() {
        let verdict = function.handle(&job, task);
        stretch.record(verdict);
    }
}
