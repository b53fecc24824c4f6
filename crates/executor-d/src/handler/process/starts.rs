//! How often in turn a program was of no use, and how long to wait for the next attempt at it.

use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;

/// After the first failure. It doubles with each further one, in whatever slot,
const FIRST: Duration = Duration::from_millis(100);
/// up to this.
const LONGEST: Duration = Duration::from_secs(10);

/// How often in turn a program could not be started, or ended before it was of use; everybody can see it in the
/// metrics.
#[derive(Debug, Default)]
pub(crate) struct Starts(Gauge);

impl Starts {
    /// Counted in `failures`.
    pub(crate) const fn new(failures: Gauge) -> Self {
        Self(failures)
    }

    /// It was of use.
    pub(crate) fn succeeded(&self) {
        // Most often nothing changes, and nobody's cache is disturbed.
        if self.0.get() > 0 {
            self.0.set(0);
        }
    }

    /// It was not: how long to wait.
    pub(crate) fn failed(&self) -> Duration {
        pause_after(self.0.inc())
    }

    /// How often in turn it was not.
    pub(crate) fn failures(&self) -> i64 {
        self.0.get()
    }

    /// How long to wait now, if at all.
    pub(crate) fn pause(&self) -> Option<Duration> {
        let failures = self.failures();
        (failures > 0).then(|| pause_after(failures - 1))
    }
}

fn pause_after(failures_before: i64) -> Duration {
    FIRST
        .saturating_mul(1 << failures_before.clamp(0, 16))
        .min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_until_a_start_succeeds() {
        let starts = Starts::default();
        assert_eq!(starts.pause(), None);
        let pauses: Vec<u128> = (0..9).map(|_| starts.failed().as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!((starts.failures(), starts.pause()), (9, Some(LONGEST)));
        starts.succeeded();
        assert_eq!((starts.failures(), starts.failed()), (0, FIRST));
        assert_eq!(starts.pause(), Some(FIRST));
    }
}
