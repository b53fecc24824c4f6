//! What is done with tasks.
//!
//! A [`Handler`] runs [stretches](Stretch) of tasks in its own way: on threads, in processes, over a network. One that
//! only computes is a [`Function`], and runs [on a thread](OnThread).

mod prime;
mod stretch;

#[cfg(debug_assertions)]
mod drill;

use std::{borrow::Cow, fmt, sync::Arc};

use futures::{FutureExt as _, future::BoxFuture};
use tokio::task::spawn_blocking;

#[cfg(debug_assertions)]
pub use self::drill::Drill;
pub(crate) use self::stretch::StretchLimits;
pub use self::{
    prime::Prime,
    stretch::{Ran, Stretch, Task},
};

/// What a handler says of a task: its value, or why there is none.
pub type Verdict = Result<Cow<'static, [u8]>, Cow<'static, str>>;

/// Turns tasks into outcomes.
///
/// A task may be run more than once, by several executors, even at the same time; one of the outcomes is recorded.
pub trait Handler: fmt::Debug + Send + Sync + 'static {
    /// Runs tasks for as long as the stretch [names one](Stretch::task), records the verdict of each in it, and
    /// [ends](Stretch::end) it. Takes as long as it needs; several stretches run at the same time, on other tasks.
    ///
    /// # Cancel safety
    /// When the future is dropped, the outcomes of the stretch are forgotten. What the handler began outside of it may
    /// go on for a while, but must come to an end.
    fn run(&self, stretch: Stretch) -> BoxFuture<'static, Ran>;
}

/// Turns one payload into an outcome, and needs nothing but the processor, or a thread that may sleep.
pub trait Function: fmt::Debug + Send + Sync + 'static {
    /// Handles one task. Takes as long as it needs.
    fn handle(&self, payload: &[u8]) -> Verdict;
}

/// Runs each stretch on a thread of its own. A task that runs goes on to its end there, whatever becomes of the future.
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
    fn run(&self, mut stretch: Stretch) -> BoxFuture<'static, Ran> {
        let function = Arc::clone(&self.0);
        let thread = spawn_blocking(move || {
            stretch.begin();
            while let Some(task) = stretch.task() {
                let verdict = function.handle(task.payload);
                stretch.record(&verdict);
            }
            stretch.end()
        });
        async {
            match thread.await {
                Ok(ran) => ran,
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    // The runtime is going down, and this future with it.
                    Err(_) => std::future::pending().await,
                },
            }
        }
        .boxed()
    }
}

/// The handler of all queues. In a debug build, tests can make it a [`Drill`].
#[must_use]
pub fn built_in() -> Arc<dyn Handler> {
    #[cfg(debug_assertions)]
    if let Some(drill) = Drill::from_environment() {
        return Arc::new(OnThread::new(drill));
    }
    Arc::new(OnThread::new(Prime))
}
