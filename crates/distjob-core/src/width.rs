//! How many tasks an executor claims at once.
//!
//! Wide claims cost the store little; narrow ones share a job well and leave little to repeat after a death. So a
//! claim is as wide as some fraction of a second of work, and towards the end of a job narrower: an even part of what
//! is left for every slot that may be working on it, so that all of them end at about the same time.

use std::time::Duration;

/// Tasks in the first claim for a queue, of whose tasks nothing is known.
const FIRST: u64 = 16;

/// A claim grows at most by this factor over the longest one measured, so that one lucky run of cheap tasks does not
/// grab a whole job.
const GROWTH_MAX: u64 = 8;

/// Work that is never cut smaller for the sake of sharing: below it, a claim costs more than it brings.
const SHARE_MIN: Duration = Duration::from_millis(2);

/// What is known of the tasks of one queue.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Mean seconds a task, newer runs counting more. Zero until something was measured.
    mean_s: f64,
    /// Widest run measured so far.
    widest: u64,
}

/// The bounds of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WidthLimits {
    /// Work that one claim should bring one slot.
    pub target: Duration,
    /// Most tasks in a claim.
    pub tasks_max: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            mean_s: 0.0,
            widest: 0,
        }
    }
}

impl Pace {
    /// Takes notice that `tasks` tasks took `elapsed` on one slot.
    pub fn learn(&mut self, tasks: u64, elapsed: Duration) {
        if tasks == 0 {
            return;
        }
        let mean_s = elapsed.as_secs_f64() / tasks as f64;
        // A run of tasks far slower than expected must be felt at once; a faster one gradually.
        let weight = if self.widest == 0 || mean_s > self.mean_s {
            0.7
        } else {
            0.3
        };
        self.mean_s = if self.widest == 0 {
            mean_s
        } else {
            self.mean_s + weight * (mean_s - self.mean_s)
        };
        self.widest = self.widest.max(tasks);
    }

    /// How long `tasks` tasks are expected to take on one slot, when anything is known.
    #[must_use]
    pub fn expect(&self, tasks: u64) -> Option<Duration> {
        (self.widest > 0)
            .then(|| Duration::try_from_secs_f64(self.mean_s * tasks as f64).unwrap_or(Duration::MAX))
    }

    /// How many tasks to claim from a job of which `left` tasks are not done, when `slots` slots may be working on it.
    /// At least one, at most [`WidthLimits::tasks_max`].
    #[must_use]
    pub fn width(&self, left: u64, slots: u64, limits: WidthLimits) -> u64 {
        let even_part = left.div_ceil(slots.max(1).saturating_mul(2)).max(1);
        let width = if self.widest == 0 {
            FIRST.min(even_part)
        } else {
            let grown = self.widest.saturating_mul(GROWTH_MAX);
            let wanted = self.tasks_in(limits.target).min(grown);
            even_part.max(self.tasks_in(SHARE_MIN)).min(wanted)
        };
        width.clamp(1, limits.tasks_max.max(1))
    }

    fn tasks_in(&self, time: Duration) -> u64 {
        // Saturates: a mean of zero means "as many as you like".
        (time.as_secs_f64() / self.mean_s).clamp(1.0, 1e15) as u64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: WidthLimits = WidthLimits {
        target: Duration::from_millis(250),
        tasks_max: 50_000,
    };

    fn pace(tasks: u64, elapsed: Duration) -> Pace {
        let mut pace = Pace::default();
        pace.learn(tasks, elapsed);
        pace
    }

    #[test]
    fn the_first_claim_is_small_and_a_small_job_is_shared() {
        assert_eq!(Pace::default().width(1_000_000, 4, LIMITS), 16);
        assert_eq!(Pace::default().width(8, 4, LIMITS), 1);
        assert_eq!(Pace::default().width(0, 0, LIMITS), 1);
    }

    #[test]
    fn slow_tasks_are_claimed_one_by_one() {
        assert_eq!(pace(1, Duration::from_secs(10)).width(1_000_000, 2, LIMITS), 1);
    }

    #[test]
    fn fast_tasks_are_claimed_by_the_thousand_and_the_claim_grows_step_by_step() {
        let mut pace = pace(16, Duration::from_micros(160));
        assert_eq!(pace.width(1_000_000, 2, LIMITS), 128);
        pace.learn(128, Duration::from_micros(1280));
        pace.learn(1024, Duration::from_micros(10_240));
        pace.learn(8192, Duration::from_micros(81_920));
        assert!((24_990..=25_010).contains(&pace.width(1_000_000, 2, LIMITS)));
    }

    #[test]
    fn towards_the_end_everybody_gets_an_even_part() {
        let pace = pace(10_000, Duration::from_millis(100));
        assert_eq!(pace.width(4000, 4, LIMITS), 500);
        assert_eq!(
            pace.width(40, 4, LIMITS),
            200,
            "two milliseconds of work are not cut further"
        );
    }

    #[test]
    fn one_slow_run_is_felt_at_once() {
        let mut pace = pace(10_000, Duration::from_millis(100));
        let before = pace.width(1_000_000, 2, LIMITS);
        pace.learn(100, Duration::from_secs(1));
        assert!(pace.width(1_000_000, 2, LIMITS) * 100 < before);
    }

    proptest! {
        #[test]
        fn a_claim_is_never_empty_nor_over_the_limit(
            runs in prop::collection::vec((0u64..100_000, 0u64..u64::MAX), 0..5),
            left in any::<u64>(), slots in any::<u64>(), tasks_max in any::<u64>(),
        ) {
            let mut pace = Pace::default();
            runs.into_iter().for_each(|(tasks, nanos)| pace.learn(tasks, Duration::from_nanos(nanos)));
            let width = pace.width(left, slots, WidthLimits { tasks_max, ..LIMITS });
            prop_assert!(width >= 1 && width <= tasks_max.max(1));
        }
    }
}
