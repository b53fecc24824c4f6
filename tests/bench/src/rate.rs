//! What a count and a time come to.

use std::time::Duration;

/// How many a second.
pub(crate) fn per_second(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// Microseconds for each of `count`.
pub(crate) fn each_us(count: usize, time: Duration) -> f64 {
    time.as_secs_f64() * 1e6 / count as f64
}
