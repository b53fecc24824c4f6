//! Something that goes on by itself, each step at a time that it knows beforehand.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

/// What knows when its next step is due.
pub(crate) trait Timed {
    /// When the next step is due; none while nothing is planned.
    fn next_at(&self) -> Option<Instant>;
}

/// A state whose steps one task takes in time, whoever changes it meanwhile.
pub(crate) struct Clockwork<S> {
    state: Mutex<S>,
    /// The next step has become due sooner.
    sooner: Notify,
}

impl<S: Timed> Clockwork<S> {
    /// Does nothing until it [runs](Self::run).
    pub(crate) fn new(state: S) -> Self {
        Self {
            state: Mutex::new(state),
            sooner: Notify::new(),
        }
    }

    /// The state, to be looked at, or changed in what moves no step.
    pub(crate) fn state(&self) -> MutexGuard<'_, S> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and its next step with it.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut S) -> T) -> T {
        let mut state = self.state();
        let before = state.next_at();
        let result = change(&mut state);
        let after = state.next_at();
        if after.is_some_and(|after| before.is_none_or(|before| after < before)) {
            self.sooner.notify_one();
        }
        result
    }

    /// Takes steps for ever. `step` takes one that is due at the given time, if one is, and says whether it did.
    pub(crate) async fn run(&self, mut step: impl FnMut(Instant) -> bool) {
        loop {
            while step(Instant::now()) {}
            let next_at = self.state().next_at();
            match next_at {
                Some(at) => {
                    tokio::select! {
                        biased;
                        () = self.sooner.notified() => {}
                        () = sleep_until(at) => {}
                    }
                }
                None => self.sooner.notified().await,
            }
        }
    }
}
