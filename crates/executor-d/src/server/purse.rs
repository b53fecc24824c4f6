//! The tokens of a queue whose rate is bounded.
//!
//! All executors together may begin so many tasks in a time. The store hands out the tokens; an executor takes as many as
//! one claim needs, spends them on claims and retries, and keeps what a claim did not need for the next one.

use std::time::{Duration, Instant};

use distjob_core::rate::Tokens;
use distjob_runtime::store::StoreError;

/// Whoever was told to wait waits at least so long, while the bucket can hold what comes meanwhile: of a fast rate
/// each claim then brings many tasks.
const PAUSE: Duration = Duration::from_millis(50);

/// How long to wait when the store did not answer.
const STORE_PAUSE: Duration = Duration::from_millis(500);

/// What this executor has of a queue's tokens.
#[derive(Debug, Default)]
pub(super) struct Purse {
    tokens: u64,
    is_asking: bool,
    not_before: Option<Instant>,
}

impl Purse {
    /// How many there are.
    pub(super) fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Whether it is time to ask the store.
    pub(super) fn should_ask(&self, now: Instant) -> bool {
        self.tokens == 0 && !self.is_asking && self.not_before.is_none_or(|at| at <= now)
    }

    /// When it will be, if that is all that is missing.
    pub(super) fn asks_at(&self) -> Option<Instant> {
        self.not_before.filter(|_| self.tokens == 0 && !self.is_asking)
    }

    /// The store is being asked.
    pub(super) fn ask(&mut self) {
        self.is_asking = true;
    }

    /// The store's answer. A bucket that refills from nothing in `refill` is asked again after a small part of that.
    pub(super) fn receive(&mut self, answer: Result<Tokens, StoreError>, refill: Duration, now: Instant) {
        self.is_asking = false;
        match answer {
            Ok(Tokens { granted, wait }) => {
                self.tokens += u64::from(granted);
                self.not_before = (granted == 0).then(|| now + wait.max(PAUSE.min(refill / 4)));
            }
            Err(error) => {
                tracing::debug!(%error, "failed to take tokens, trying again");
                self.not_before = Some(now + STORE_PAUSE);
            }
        }
    }

    /// Spends up to so many. Answers how many that were.
    pub(super) fn spend(&mut self, most: u64) -> u64 {
        let spent = most.min(self.tokens);
        self.tokens -= spent;
        spent
    }

    /// Takes back what was not needed.
    pub(super) fn put_back(&mut self, tokens: u64) {
        self.tokens += tokens;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFILL: Duration = Duration::from_secs(1);

    #[test]
    fn it_asks_when_it_is_empty_and_not_before_it_was_told_to() {
        let (mut purse, now) = (Purse::default(), Instant::now());
        assert!(purse.should_ask(now));
        purse.ask();
        assert!(!purse.should_ask(now), "once at a time");
        purse.receive(
            Ok(Tokens {
                granted: 3,
                wait: Duration::ZERO,
            }),
            REFILL,
            now,
        );
        assert_eq!((purse.spend(2), purse.spend(5), purse.spend(1)), (2, 1, 0));
        assert!(purse.should_ask(now));
        purse.ask();
        purse.receive(
            Ok(Tokens {
                granted: 0,
                wait: Duration::from_millis(7),
            }),
            REFILL,
            now,
        );
        assert_eq!(
            (purse.should_ask(now), purse.asks_at()),
            (false, Some(now + PAUSE))
        );
        assert!(purse.should_ask(now + PAUSE));
        purse.put_back(1);
        assert_eq!((purse.tokens(), purse.asks_at()), (1, None));
    }

    #[test]
    fn it_waits_as_long_as_it_is_told_and_no_longer_where_the_bucket_is_small() {
        let (mut purse, now) = (Purse::default(), Instant::now());
        purse.receive(
            Ok(Tokens {
                granted: 0,
                wait: Duration::from_secs(2),
            }),
            REFILL,
            now,
        );
        assert_eq!(purse.asks_at(), Some(now + Duration::from_secs(2)));
        purse.receive(
            Ok(Tokens {
                granted: 0,
                wait: Duration::from_millis(1),
            }),
            Duration::from_millis(20),
            now,
        );
        assert_eq!(purse.asks_at(), Some(now + Duration::from_millis(5)));
    }
}
