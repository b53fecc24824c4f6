//! How long a process may take.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// A time that passes while a process says nothing: whoever hears something of it begins anew.
#[derive(Debug)]
pub(crate) struct Patience {
    within: Option<Duration>,
    since: Mutex<Instant>,
}

impl Patience {
    /// Of so long from now on; none: for ever.
    pub(crate) fn new(within: Option<Duration>) -> Self {
        Self {
            within,
            since: Mutex::new(Instant::now()),
        }
    }

    /// Lets the time begin anew.
    pub(crate) fn renew(&self) {
        *self.since() = Instant::now();
    }

    /// Returns when it has passed.
    ///
    /// # Cancel safety
    /// Safe.
    pub(crate) async fn is_over(&self) {
        loop {
            let since = *self.since();
            // Nothing is due in ten thousand years.
            match self.within.and_then(|within| since.checked_add(within)) {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
            if *self.since() == since {
                return;
            }
        }
    }

    fn since(&self) -> MutexGuard<'_, Instant> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_over_when_nothing_was_heard_for_long_enough() {
        let begun = Instant::now();
        let patience = Patience::new(Some(Duration::from_secs(10)));
        assert!(timeout(Duration::from_secs(9), patience.is_over()).await.is_err());
        patience.renew();
        patience.is_over().await;
        assert_eq!(begun.elapsed(), Duration::from_secs(19));
    }

    #[tokio::test(start_paused = true)]
    async fn patience_without_a_bound_is_never_over() {
        for endless in [None, Some(Duration::MAX)] {
            let over = Patience::new(endless);
            assert!(
                timeout(Duration::from_secs(1 << 30), over.is_over())
                    .await
                    .is_err()
            );
        }
    }
}
