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
