//! How long to wait before a program that cannot be started is tried again.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

/// After the first failure. It doubles with each further one, in whatever slot,
const FIRST: Duration = Duration::from_millis(100);
/// up to this.
const LONGEST: Duration = Duration::from_secs(10);

/// How often in turn a program could not be started.
#[derive(Debug, Default)]
pub(super) struct Starts(AtomicU32);

impl Starts {
    /// It was started.
    pub(super) fn succeeded(&self) {
        // Most often nothing changes, and nobody's cache is disturbed.
        if self.0.load(Ordering::Relaxed) > 0 {
            self.0.store(0, Ordering::Relaxed);
        }
    }

    /// It was not: how long to wait.
    pub(super) fn failed(&self) -> Duration {
        let before = self.0.fetch_add(1, Ordering::Relaxed);
        FIRST.saturating_mul(1 << before.min(16)).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_until_a_start_succeeds() {
        let starts = Starts::default();
        let pauses: Vec<u128> = (0..9).map(|_| starts.failed().as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        starts.succeeded();
        assert_eq!(starts.failed(), FIRST);
    }
}
