//! Whether a task that failed is run again, and when.
//!
//! The pause before the next attempt is drawn from the whole of an interval that doubles with each attempt ("full
//! jitter"): tasks that failed together, of one overloaded receiver, do not come back together.

use std::time::Duration;

/// Nobody puts a task off for longer than this, or than the queue's own longest pause where that is longer: the job
/// would not end.
pub const PATIENCE: Duration = Duration::from_secs(3600);

/// What a handler says of the next attempt at a task that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retry {
    /// As the queue's policy has it.
    #[default]
    Policy,
    /// As the policy has it, but no sooner than this, within [reason](PATIENCE): the receiver said so.
    After(Duration),
    /// There is none: it would fail in the same way.
    Never,
    /// It was not the task's fault, as when its process died of one of several: again, without counting this attempt,
    /// and alone.
    Uncounted,
    /// Nothing of the queue can be run here now, as when its program is missing: the task is given back, for others to
    /// have, and this executor claims nothing of the queue for so long.
    Elsewhere(Duration),
}

/// How often tasks of a queue are run, and with what pauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// A task that fails is run so often at most; 0 is taken as 1.
    pub attempts: u32,
    /// The longest pause after the first attempt. It doubles with each.
    pub initial: Duration,
    /// The longest pause of all, unless the handler asks for a longer one.
    pub max: Duration,
}

/// What follows from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The task is run again.
    Again {
        /// As which attempt, from 1.
        attempt: u32,
        /// After this time.
        after: Duration,
        /// Whether nothing else may share its process.
        alone: bool,
    },
    /// It is given back, and nothing of its queue is begun here for so long.
    Elsewhere(Duration),
    /// The failure is its outcome.
    Final,
}

impl Policy {
    /// No task is run twice for its own fault.
    pub const ONCE: Self = Self {
        attempts: 1,
        initial: Duration::from_secs(1),
        max: Duration::from_secs(1),
    };

    /// Decides about a task whose attempt number `attempt` (from 1) failed, when chance says `jitter`, from 0 up to,
    /// not including, 1.
    #[must_use]
    pub fn after_failure(&self, attempt: u32, retry: Retry, jitter: f64) -> Next {
        let soonest = match retry {
            Retry::Never => return Next::Final,
            Retry::Elsewhere(rest) => return Next::Elsewhere(rest),
            Retry::Uncounted => {
                return Next::Again {
                    attempt,
                    // Counted by nobody, it must not spin either.
                    after: self.pause(1, jitter),
                    alone: true,
                };
            }
            Retry::Policy => Duration::ZERO,
            Retry::After(soonest) => soonest.min(self.max.max(PATIENCE)),
        };
        if attempt >= self.attempts {
            return Next::Final;
        }
        Next::Again {
            attempt: attempt.saturating_add(1),
            after: self.pause(attempt, jitter).max(soonest),
            alone: false,
        }
    }

    fn pause(&self, attempt: u32, jitter: f64) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        let longest = self.initial.saturating_mul(1 << doublings).min(self.max);
        let drawn = longest.as_secs_f64() * jitter.clamp(0.0, 1.0);
        Duration::try_from_secs_f64(drawn).unwrap_or(longest).min(longest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POLICY: Policy = Policy {
        attempts: 3,
        initial: Duration::from_secs(1),
        max: Duration::from_secs(3),
    };

    fn again(attempt: u32, after: Duration) -> Next {
        Next::Again {
            attempt,
            after,
            alone: false,
        }
    }

    #[test]
    fn the_pause_doubles_up_to_the_longest_and_the_last_attempt_is_final() {
        let policy = Policy {
            attempts: 5,
            ..POLICY
        };
        let half = |attempt| policy.after_failure(attempt, Retry::Policy, 0.5);
        assert_eq!(half(1), again(2, Duration::from_millis(500)));
        assert_eq!(half(2), again(3, Duration::from_secs(1)));
        assert_eq!(half(3), again(4, Duration::from_millis(1500)));
        assert_eq!(half(4), again(5, Duration::from_millis(1500)));
        assert_eq!(half(5), Next::Final);
    }

    #[test]
    fn a_handler_may_ask_for_a_longer_pause_but_not_for_more_attempts() {
        let hour = Duration::from_secs(3600);
        assert_eq!(POLICY.after_failure(1, Retry::After(hour), 0.9), again(2, hour));
        let ages = Retry::After(Duration::from_millis(u64::MAX));
        assert_eq!(POLICY.after_failure(1, ages, 0.9), again(2, PATIENCE));
        let nothing = Retry::After(Duration::ZERO);
        assert_eq!(
            POLICY.after_failure(1, nothing, 0.5),
            again(2, Duration::from_millis(500))
        );
        assert_eq!(POLICY.after_failure(3, Retry::After(hour), 0.9), Next::Final);
        assert_eq!(POLICY.after_failure(1, Retry::Never, 0.0), Next::Final);
    }

    #[test]
    fn what_is_not_the_tasks_fault_does_not_count() {
        let next = POLICY.after_failure(3, Retry::Uncounted, 0.25);
        let expected = Next::Again {
            attempt: 3,
            after: Duration::from_millis(250),
            alone: true,
        };
        assert_eq!(next, expected);
        let minute = Duration::from_secs(60);
        let elsewhere = POLICY.after_failure(3, Retry::Elsewhere(minute), 0.25);
        assert_eq!(elsewhere, Next::Elsewhere(minute));
    }

    proptest! {
        #[test]
        fn a_task_ends_after_its_attempts_and_no_pause_is_over_the_longest(
            attempts in 0u32..50, initial in any::<u64>(), max in any::<u64>(), jitter in 0.0..1.0,
        ) {
            let policy = Policy { attempts, initial: Duration::from_nanos(initial), max: Duration::from_nanos(max) };
            let mut attempt = 1;
            while let Next::Again { attempt: next, after, alone } = policy.after_failure(attempt, Retry::Policy, jitter) {
                prop_assert_eq!(next, attempt + 1);
                prop_assert!(!alone && after <= policy.max);
                attempt = next;
            }
            prop_assert_eq!(attempt, attempts.max(1));
        }

        #[test]
        fn no_policy_and_no_chance_make_it_panic(
            attempts: u32, attempt: u32, initial: u64, max: u64, soonest: u64, jitter: f64,
        ) {
            let policy = Policy { attempts, initial: Duration::from_secs(initial), max: Duration::from_secs(max) };
            for retry in [Retry::Policy, Retry::After(Duration::from_secs(soonest)), Retry::Never, Retry::Uncounted] {
                let _ = policy.after_failure(attempt, retry, jitter);
            }
        }
    }
}
