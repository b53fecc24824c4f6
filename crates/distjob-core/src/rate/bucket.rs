//! A bucket of tokens: how a rate is kept across all executors.
//!
//! A full bucket holds `burst` tokens. Each task that begins takes one, and they come back at the rate. The bucket stands in
//! the store, and the store's clock counts: executors need not agree about the time.
//!
//! All is whole numbers, so that the script, whose numbers are doubles, comes to the very same sums: a token is as
//! many parts as its period has µs, and each µs brings as many parts as the rate has tasks.

use std::{
    num::{NonZeroU32, NonZeroU64},
    time::Duration,
};

use super::Rate;

/// Most parts that a bucket holds: twice as many, and a double still counts each of them.
pub const PARTS_MAX: u64 = 1 << 52;

/// A rate that is one, with its burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limit {
    tasks: NonZeroU32,
    per_us: NonZeroU64,
    burst: NonZeroU32,
}

impl Limit {
    /// So many tasks may begin: at the rate, and after a lull `burst` at once. A burst of 0 is the
    /// [usual one](Rate::usual_burst); one of more than a million is cut where the rate counts in hours. `None` when the rate is no
    /// limit.
    #[must_use]
    pub fn new(rate: Rate, burst: u32) -> Option<Self> {
        let Rate::Limited { tasks, per } = rate else {
            return None;
        };
        let per_us = NonZeroU64::new(per.duration().as_micros() as u64)?;
        let burst = NonZeroU32::new(burst).or_else(|| rate.usual_burst())?;
        let most = u32::try_from(PARTS_MAX / per_us).unwrap_or(u32::MAX);
        Some(Self {
            tasks,
            per_us,
            burst: burst.min(NonZeroU32::new(most)?),
        })
    }

    /// How many tasks each [period](Self::per_us) brings.
    #[must_use]
    pub const fn tasks(self) -> NonZeroU32 {
        self.tasks
    }

    /// The period, in µs.
    #[must_use]
    pub const fn per_us(self) -> NonZeroU64 {
        self.per_us
    }

    /// How many tokens a full bucket holds.
    #[must_use]
    pub const fn burst(self) -> NonZeroU32 {
        self.burst
    }

    fn full(self) -> u64 {
        u64::from(self.burst.get()) * self.per_us.get()
    }
}

/// What a bucket gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tokens {
    /// How many tokens, at most as many as were wanted.
    pub granted: u32,
    /// How long until there is one more, if nobody else takes it; nothing when all were granted that were wanted.
    pub wait: Duration,
}

/// A bucket as it stands in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bucket {
    /// What is in it, in parts of a token.
    pub parts: u64,
    /// How many parts a token has.
    pub per_us: u64,
    /// When that was so, in µs by the store's clock.
    pub at_us: u64,
}

impl Bucket {
    /// Takes up to `want` tokens from `kept` at the time `now_us`: the bucket that is left, and the tokens. Nothing kept
    /// is a full bucket.
    ///
    /// A clock that has stepped back brings nothing for that time; one that has stepped forward brings what it says, at most a
    /// full bucket. A change of the period costs less than one token.
    #[must_use]
    pub fn take(kept: Option<Self>, limit: Limit, now_us: u64, want: u32) -> (Self, Tokens) {
        let (full, per_us) = (limit.full(), limit.per_us.get());
        let tasks = u64::from(limit.tasks.get());
        let mut parts = kept.map_or(full, |kept| kept.parts_at(limit, now_us));
        let granted = u64::from(want).min(parts / per_us);
        parts -= granted * per_us;
        let wait_us = if granted < u64::from(want) {
            (per_us - parts).div_ceil(tasks)
        } else {
            0
        };
        let bucket = Self {
            parts,
            per_us,
            at_us: now_us,
        };
        let tokens = Tokens {
            granted: granted as u32,
            wait: Duration::from_micros(wait_us),
        };
        (bucket, tokens)
    }

    /// What is in it by now, in parts of the limit's own.
    fn parts_at(self, limit: Limit, now_us: u64) -> u64 {
        let per_us = limit.per_us.get();
        let parts = if self.per_us == per_us {
            self.parts
        } else {
            (self.parts / self.per_us.max(1)).saturating_mul(per_us)
        };
        let elapsed = now_us.saturating_sub(self.at_us);
        let gained = elapsed.saturating_mul(limit.tasks.get().into());
        parts.saturating_add(gained).min(limit.full())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limit(rate: &str, burst: u32) -> Limit {
        Limit::new(rate.parse().unwrap(), burst).unwrap()
    }

    fn limits() -> impl Strategy<Value = Limit> {
        let tasks = prop_oneof![1..50u32, any::<u32>().prop_map(|tasks| tasks.max(1))];
        let burst = prop_oneof![0..20u32, any::<u32>()];
        (tasks, prop::sample::select(&["s", "min", "h"]), burst)
            .prop_map(|(tasks, per, burst)| limit(&format!("{tasks}/{per}"), burst))
    }

    /// What is taken and how long before it the last was, in µs by a true clock and by the store's.
    fn takes() -> impl Strategy<Value = Vec<(u64, i64, u32)>> {
        let apart = prop_oneof![0..10u64, 0..2_000_000u64, 0..10_000_000_000u64];
        let step = prop_oneof![20 => Just(0), 1 => -10_000_000_000i64..0];
        prop::collection::vec((apart, step, 0..30u32), 1..60)
    }

    proptest! {
        #[test]
        fn no_time_sees_more_than_a_burst_and_what_the_rate_brings_in_it(limit in limits(), takes in takes()) {
            let (mut kept, mut now, mut clock) = (None, 0u64, 1u64 << 50);
            let mut granted = Vec::new();
            for (apart, step, want) in takes {
                now += apart;
                clock = (clock + apart).saturating_add_signed(step);
                let (bucket, tokens) = Bucket::take(kept, limit, clock, want);
                prop_assert!(bucket.parts <= limit.full() && tokens.granted <= want);
                kept = Some(bucket);
                granted.push((now, u128::from(tokens.granted)));
            }
            for (from, (begin, _)) in granted.iter().enumerate() {
                let mut sum = 0;
                for (end, tokens) in &granted[from..] {
                    sum += tokens;
                    let brought = u128::from(end - begin) * u128::from(limit.tasks.get());
                    prop_assert!(sum * u128::from(limit.per_us.get()) <= u128::from(limit.full()) + brought);
                }
            }
        }

        #[test]
        fn whoever_waits_as_long_as_he_is_told_gets_one_and_nobody_waits_too_long(limit in limits(), parts: u64, want in 1..5u32) {
            let kept = Bucket { parts: parts % limit.full(), per_us: limit.per_us.get(), at_us: 7 };
            let (left, tokens) = Bucket::take(Some(kept), limit, 7, want);
            prop_assert_eq!(tokens.wait.is_zero(), tokens.granted == want);
            if tokens.granted < want {
                let then = 7 + tokens.wait.as_micros() as u64;
                prop_assert!(Bucket::take(Some(left), limit, then, 1).1.granted == 1);
                prop_assert!(Bucket::take(Some(left), limit, then - 1, 1).1.granted == 0);
            }
        }

        #[test]
        fn nothing_that_the_rate_brings_is_lost_to_rounding(limit in limits(), apart in prop::collection::vec(0..500_000u64, 1..100)) {
            // One that is never full and never asked for more than it has, since it has nothing in the beginning.
            let limit = Limit { burst: NonZeroU32::new((PARTS_MAX / limit.per_us).min(u32::MAX.into()) as u32).unwrap(), ..limit };
            let mut bucket = Bucket { parts: 0, per_us: limit.per_us.get(), at_us: 0 };
            let (mut now, mut sum) = (0, 0);
            for apart in apart {
                now += apart;
                let (left, tokens) = Bucket::take(Some(bucket), limit, now, u32::MAX);
                prop_assume!(left.parts < limit.per_us.get());
                (bucket, sum) = (left, sum + u128::from(tokens.granted));
            }
            prop_assert_eq!(sum, u128::from(now) * u128::from(limit.tasks.get()) / u128::from(limit.per_us.get()));
        }
    }

    #[test]
    fn a_lull_brings_one_burst_however_long_it_is() {
        let limit = limit("10/s", 5);
        let (bucket, tokens) = Bucket::take(None, limit, 1_000_000, 9);
        assert_eq!(tokens.granted, 5);
        assert_eq!(tokens.wait, Duration::from_millis(100));
        let (bucket, tokens) = Bucket::take(Some(bucket), limit, 1_250_000, 9);
        assert_eq!((tokens.granted, tokens.wait), (2, Duration::from_millis(50)));
        let (_, tokens) = Bucket::take(Some(bucket), limit, u64::MAX, 9);
        assert_eq!(tokens.granted, 5);
    }

    #[test]
    fn a_bucket_of_another_rate_keeps_its_whole_tokens() {
        let (bucket, _) = Bucket::take(None, limit("10/s", 5), 1, 2);
        let (_, tokens) = Bucket::take(Some(bucket), limit("10/h", 9), 1, 9);
        assert_eq!(tokens.granted, 3);
        let (_, tokens) = Bucket::take(Some(bucket), limit("10/h", 1), 1, 9);
        assert_eq!(tokens.granted, 1);
    }

    #[test]
    fn a_burst_of_nothing_is_the_usual_one_and_none_is_too_large_to_count() {
        assert_eq!(Limit::new(Rate::Unlimited, 5), None);
        assert_eq!(limit("100/s", 0).burst.get(), 100);
        assert_eq!(limit("5/h", 0).burst.get(), 1);
        assert!(limit("5/h", u32::MAX).full() <= PARTS_MAX);
        assert!(limit("5/h", u32::MAX).burst.get() > 1_000_000);
    }
}
