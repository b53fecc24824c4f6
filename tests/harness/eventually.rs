//! Waiting for a condition that has no event of its own.

use std::future::Future;
use std::panic::Location;
use std::time::Duration;

use anyhow::{Error, Result, anyhow};
use tokio::time::{Instant, sleep, timeout_at};

/// Between two looks. Short against everything that tests wait for, long against the cost of a look.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks until `look` answers `Ok`, and returns what it answered. An error means "not yet", and says what was seen
/// instead: `anyhow::ensure!(left.is_empty(), "left: {left:?}")`.
///
/// # Panics
/// After `limit`, at the caller's place in the source, with `what` was waited for and what was seen last.
#[track_caller]
pub fn eventually<T>(
    what: &str,
    limit: Duration,
    look: impl AsyncFnMut() -> Result<T>,
) -> impl Future<Output = T> {
    let caller = Location::caller();
    async move {
        match within(limit, look).await {
            Ok(value) => value,
            Err(last) => panic!("{caller}: not within {limit:?}: {what}; last seen: {last:#}"),
        }
    }
}

/// As [`eventually()`], but answers the last error instead of panicking.
pub async fn within<T>(limit: Duration, mut look: impl AsyncFnMut() -> Result<T>) -> Result<T, Error> {
    let deadline = Instant::now() + limit;
    let mut last = anyhow!("nothing: the first look did not end");
    while let Ok(seen) = timeout_at(deadline, look()).await {
        match seen {
            Ok(value) => return Ok(value),
            Err(seen) => last = seen,
        }
        // A look that needs no waiting ends in time even after the deadline.
        if Instant::now() >= deadline {
            break;
        }
        sleep(PAUSE).await;
    }
    Err(last)
}
