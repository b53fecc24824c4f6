//! What is done with a task.

use std::borrow::Cow;

mod prime;

#[cfg(debug_assertions)]
mod drill;

pub use prime::Prime;

#[cfg(debug_assertions)]
pub use drill::Drill;

/// What a handler says of a task: its value, or why there is none.
pub type Verdict = Result<Cow<'static, [u8]>, Cow<'static, str>>;

/// Turns a payload into an outcome.
///
/// Runs on a thread of its own and may take as long as it needs. A task may be run more than once, by several
/// executors, even at the same time; one of the outcomes is recorded.
pub trait Handler: Send + Sync + 'static {
    /// Handles one task.
    fn handle(&self, payload: &[u8]) -> Verdict;
}

/// The handler of all queues. In a debug build, tests can make it [`Drill`].
#[must_use]
pub fn built_in() -> Box<dyn Handler> {
    #[cfg(debug_assertions)]
    if let Some(drill) = Drill::from_environment() {
        return Box::new(drill);
    }
    Box::new(Prime)
}
