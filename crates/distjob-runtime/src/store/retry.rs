//! Repeating what may be repeated.

use std::{pin::pin, time::Duration};

use redis::{ErrorKind, RedisError};
use tokio::time::sleep;

use super::{StoreError, connection::DELAY_MAX};
use crate::chance;

const DELAY_MIN: Duration = Duration::from_millis(50);

/// Repeats `op` until it succeeds, fails for good, or `until` is ready: a deadline, a request to stop, or both.
///
/// `op` is tried at least once. Between two attempts lie 50 ms, then more, up to 2 s, each drawn from the upper half so
/// that many clients do not come back at once.
///
/// # Errors
/// A rejection or a reply that makes no sense comes back at once. When `until` ends it, the error is
/// [`StoreError::Unclear`] if *any* attempt was: a later attempt that certainly did nothing says nothing of the earlier
/// one.
///
/// # Cancellation safety
/// Dropping it does not undo what was sent.
pub async fn retrying<T, Fut>(
    until: impl Future<Output = ()>,
    mut op: impl FnMut() -> Fut,
) -> Result<T, StoreError>
where
    Fut: Future<Output = Result<T, StoreError>>,
{
    let mut until = pin!(until);
    let mut worst = None;
    for attempt in 0.. {
        let error = tokio::select! {
            biased;
            result = op() => match result {
                Err(error) if error.is_transient() => error,
                done => return done,
            },
            () = &mut until => return Err(worse(worst, given_up())),
        };
        worst = Some(worse(worst, error));
        tokio::select! {
            biased;
            () = sleep(backoff(attempt, DELAY_MAX)) => {}
            () = &mut until => break,
        }
    }
    Err(worst.unwrap_or_else(given_up))
}

fn worse(before: Option<StoreError>, now: StoreError) -> StoreError {
    match (before, now) {
        (Some(unclear @ StoreError::Unclear(_)), StoreError::Unavailable(_)) => unclear,
        (_, now) => now,
    }
}

fn given_up() -> StoreError {
    StoreError::Unclear(RedisError::from((ErrorKind::Io, "gave up waiting for the reply")))
}

/// How long to wait after failure number `attempt`, counted from 0: twice as long each time, at most `most`, less up
/// to half of it by chance.
pub(crate) fn backoff(attempt: u32, most: Duration) -> Duration {
    let full = DELAY_MIN.saturating_mul(1 << attempt.min(16)).min(most);
    chance::upper_half(full)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::time::{Instant, sleep_until};

    use super::*;

    fn unavailable() -> StoreError {
        StoreError::Unavailable(RedisError::from((ErrorKind::Io, "refused")))
    }

    fn rejected() -> StoreError {
        StoreError::Rejected(RedisError::from((ErrorKind::Client, "wrong")))
    }

    #[tokio::test(start_paused = true)]
    async fn a_transient_failure_is_repeated_until_it_succeeds() {
        let attempts = Cell::new(0);
        let result = retrying(std::future::pending(), || async {
            attempts.set(attempts.get() + 1);
            if attempts.get() < 5 {
                Err(unavailable())
            } else {
                Ok(7)
            }
        });
        assert_eq!(result.await.unwrap(), 7);
        assert_eq!(attempts.get(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_rejection_is_final() {
        let attempts = Cell::new(0);
        let result: Result<(), _> = retrying(std::future::pending(), || async {
            attempts.set(attempts.get() + 1);
            Err(rejected())
        })
        .await;
        assert!(matches!(result, Err(StoreError::Rejected(_))));
        assert_eq!(attempts.get(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn one_unclear_attempt_makes_the_whole_unclear() {
        let attempts = Cell::new(0);
        let deadline = Instant::now() + Duration::from_secs(30);
        let result: Result<(), _> = retrying(sleep_until(deadline), || async {
            attempts.set(attempts.get() + 1);
            Err(if attempts.get() == 2 {
                given_up()
            } else {
                unavailable()
            })
        })
        .await;
        assert!(matches!(result, Err(StoreError::Unclear(_))));
        assert!(attempts.get() > 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_under_way_at_the_end_is_unclear() {
        let result: Result<(), _> = retrying(std::future::ready(()), std::future::pending).await;
        assert!(matches!(result, Err(StoreError::Unclear(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_tried_once_even_when_it_is_already_too_late() {
        assert_eq!(
            retrying(std::future::ready(()), || async { Ok(1) })
                .await
                .unwrap(),
            1
        );
    }

    #[test]
    fn delays_grow_to_the_limit_and_no_further() {
        for attempt in [0, 3, 40, u32::MAX] {
            let delay = backoff(attempt, DELAY_MAX);
            assert!(
                delay <= DELAY_MAX && delay >= DELAY_MIN / 2,
                "{attempt} {delay:?}"
            );
        }
    }
}
