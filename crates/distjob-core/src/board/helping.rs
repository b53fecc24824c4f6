//! When a member may help with a job of another's share: few at first, then twice as many each time.
//!
//! Whoever helps asks the store for a claim (or the ledger for a lock), and most of them in vain. If all idle members of a
//! large cluster helped at once with each job that is not done within a moment, each job would cost as many requests as
//! there are members. So those whom the job likes best go first:
//!
//! | it was seen before | who may help |
//! |---|---|
//! | 1 × `help_after` | the first 8 |
//! | 2 × | 16 |
//! | 3 × | 32 |
//! | k × | 4·2^k: of 1,000 members the last after 8 × |

use std::time::Duration;

/// So many help after the first delay.
const FIRST: usize = 8;

/// How long after a job was seen the member may help with it that is `rank`-th, from 0, among those whom the job likes.
pub(super) fn delay(help_after: Duration, rank: usize) -> Duration {
    let doublings = usize::BITS - (rank / FIRST).leading_zeros();
    help_after.saturating_mul(1 + doublings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twice_as_many_may_help_after_each_delay() {
        let delays = |ranks: &[usize]| {
            ranks
                .iter()
                .map(|rank| delay(Duration::from_secs(1), *rank).as_secs())
                .collect::<Vec<_>>()
        };
        assert_eq!(delays(&[0, 7, 8, 15, 16, 31, 32, 999]), [1, 1, 2, 2, 3, 3, 4, 8]);
        assert_eq!(delay(Duration::ZERO, 999), Duration::ZERO);
    }
}
