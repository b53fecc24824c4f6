//! How far shares are from what they would be if they were computed now, and when that is worth its time.

use std::time::{Duration, Instant};

/// Shares are computed again no sooner than this after they were.
const PAUSE: Duration = Duration::from_millis(10);

/// When they are outdated: no sooner than so many times as long as it took.
const OUTDATED_PAUSE: u32 = 10;

/// When only a few jobs came or went. Each of those is where it is liked best, or was done with: all but a few would stay
/// where they are.
const DRIFTED_PAUSE: u32 = 100;

/// As soon as one of so many jobs came or went, shares are outdated.
const DRIFT: usize = 64;

/// What happened since shares were computed.
#[derive(Debug, Default)]
pub(super) struct Staleness {
    /// Members or settings changed.
    is_outdated: bool,
    /// A member went.
    has_heirs: bool,
    /// How many jobs came or went.
    drifted: usize,
    /// When shares were computed, and how long that took.
    last: Option<(Instant, Duration)>,
}

impl Staleness {
    /// Members or settings changed.
    pub(super) fn outdate(&mut self) {
        self.is_outdated = true;
    }

    /// A member went.
    pub(super) fn inherit(&mut self) {
        self.has_heirs = true;
    }

    /// A job came or went.
    pub(super) fn drift(&mut self) {
        self.drifted += 1;
    }

    pub(super) fn is_stale(&self) -> bool {
        self.is_outdated || self.drifted > 0
    }

    pub(super) fn is_outdated(&self, jobs: usize) -> bool {
        self.is_outdated || (self.drifted > 0 && self.drifted >= jobs / DRIFT)
    }

    /// When to compute shares of so many jobs, if at all.
    pub(super) fn share_at(&self, jobs: usize, now: Instant) -> Option<Instant> {
        let pause = if self.is_outdated(jobs) {
            OUTDATED_PAUSE
        } else {
            DRIFTED_PAUSE
        };
        let again_at = |(done, took): (Instant, Duration)| done + PAUSE.max(took.saturating_mul(pause));
        self.is_stale().then(|| self.last.map_or(now, again_at))
    }

    /// Shares are being computed. Whether jobs that change hands were left by somebody who went.
    pub(super) fn refresh(&mut self) -> bool {
        (self.is_outdated, self.drifted) = (false, 0);
        std::mem::take(&mut self.has_heirs)
    }

    /// That was done then, and took so long.
    pub(super) fn rest(&mut self, done: Instant, took: Duration) {
        self.last = Some((done, took));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOOK: Duration = Duration::from_millis(20);

    /// Of shares that were just computed.
    fn fresh(now: Instant) -> Staleness {
        let mut staleness = Staleness::default();
        staleness.rest(now, TOOK);
        staleness
    }

    #[test]
    fn what_was_never_shared_is_shared_at_once() {
        let (mut staleness, now) = (Staleness::default(), Instant::now());
        assert_eq!(staleness.share_at(0, now), None);
        staleness.drift();
        assert_eq!(staleness.share_at(1, now), Some(now));
    }

    #[test]
    fn one_job_more_among_few_makes_shares_outdated_and_among_many_it_takes_many() {
        let now = Instant::now();
        let mut staleness = fresh(now);
        staleness.drift();
        assert_eq!(staleness.share_at(100, now), Some(now + TOOK * OUTDATED_PAUSE));
        assert_eq!(staleness.share_at(100_000, now), Some(now + TOOK * DRIFTED_PAUSE));
        (0..100_000 / DRIFT).for_each(|_| staleness.drift());
        assert_eq!(
            staleness.share_at(100_000, now),
            Some(now + TOOK * OUTDATED_PAUSE)
        );
    }

    #[test]
    fn members_that_come_or_go_make_shares_outdated_until_they_are_computed() {
        let now = Instant::now();
        let mut staleness = fresh(now);
        staleness.outdate();
        staleness.inherit();
        assert!(staleness.is_outdated(100_000));
        assert!(staleness.refresh(), "somebody went");
        assert!(!staleness.is_stale() && !staleness.refresh());
        assert_eq!(staleness.share_at(100_000, now), None);
    }

    #[test]
    fn shares_that_take_no_time_are_computed_a_hundred_times_a_second_at_most() {
        let (mut staleness, now) = (Staleness::default(), Instant::now());
        staleness.rest(now, Duration::ZERO);
        staleness.drift();
        assert_eq!(staleness.share_at(100_000, now), Some(now + PAUSE));
    }
}
