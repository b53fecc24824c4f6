//! What befalls frames on their way from one host to another.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// How one direction of one link behaves. The default is a perfect link.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rule {
    /// Nothing arrives, and nobody is told.
    pub down: bool,
    /// This share of the frames is lost, from 0 to 1. TCP sends them again, so much more than a tenth is an outage.
    pub loss: f64,
    /// Everything arrives later by this, in order.
    pub delay: Duration,
    /// And by up to so much more, by chance; still in order.
    pub jitter: Duration,
}

impl Rule {
    /// Nothing arrives.
    pub const DOWN: Rule = Rule {
        down: true,
        ..Rule::PERFECT
    };

    /// As a link is without a rule.
    pub const PERFECT: Rule = Rule {
        down: false,
        loss: 0.0,
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
    };

    /// Everything arrives later by `delay` and up to `jitter` more.
    pub fn slow(delay: Duration, jitter: Duration) -> Rule {
        Rule {
            delay,
            jitter,
            ..Rule::PERFECT
        }
    }

    /// This share of the frames is lost.
    pub fn lossy(loss: f64) -> Rule {
        Rule {
            loss,
            ..Rule::PERFECT
        }
    }
}

/// What becomes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Lost,
    Now,
    At(Instant),
}

/// The rules of all directed links, by the addresses of sender and receiver.
#[derive(Debug)]
pub(super) struct Links {
    links: HashMap<(Ipv4Addr, Ipv4Addr), Link>,
    random: Random,
}

#[derive(Debug, Default)]
struct Link {
    rule: Rule,
    /// When the last frame that was kept waiting arrives: the next one must not overtake it.
    last: Option<Instant>,
}

impl Links {
    pub(super) fn new(seed: u64) -> Links {
        Links {
            links: HashMap::new(),
            random: Random(seed),
        }
    }

    pub(super) fn rule(&mut self, from: Ipv4Addr, to: Ipv4Addr, rule: Rule) {
        self.links.entry((from, to)).or_default().rule = rule;
    }

    pub(super) fn heal(&mut self) {
        for link in self.links.values_mut() {
            link.rule = Rule::PERFECT;
        }
    }

    pub(super) fn fate(&mut self, from: Ipv4Addr, to: Ipv4Addr, now: Instant) -> Fate {
        let Some(link) = self.links.get_mut(&(from, to)) else {
            return Fate::Now;
        };
        let rule = link.rule;
        if rule.down || (rule.loss > 0.0 && self.random.below_one() < rule.loss) {
            return Fate::Lost;
        }
        let mut due = now + rule.delay;
        if !rule.jitter.is_zero() {
            due += rule.jitter.mul_f64(self.random.below_one());
        }
        due = due.max(link.last.unwrap_or(now));
        if due <= now {
            return Fate::Now;
        }
        link.last = Some(due);
        Fate::At(due)
    }
}

/// SplitMix64: enough to lose frames by.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn below_one(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        f64::from(u32::try_from((z ^ (z >> 31)) >> 32).unwrap_or(u32::MAX)) / 4_294_967_296.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
    const TWO: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

    #[test]
    fn a_link_is_down_in_one_direction_only() {
        let (mut links, now) = (Links::new(1), Instant::now());
        links.rule(ONE, TWO, Rule::DOWN);
        assert_eq!(links.fate(ONE, TWO, now), Fate::Lost);
        assert_eq!(links.fate(TWO, ONE, now), Fate::Now);
        links.heal();
        assert_eq!(links.fate(ONE, TWO, now), Fate::Now);
    }

    #[test]
    fn a_frame_never_overtakes_one_that_was_delayed() {
        let (mut links, start) = (Links::new(1), Instant::now());
        let ms = |count| start + Duration::from_millis(count);
        links.rule(
            ONE,
            TWO,
            Rule::slow(Duration::from_millis(50), Duration::from_millis(50)),
        );
        let mut last = start;
        for count in 0..1_000 {
            let Fate::At(due) = links.fate(ONE, TWO, ms(count)) else {
                panic!("not delayed")
            };
            assert!(due >= last && due >= ms(count + 50) && due <= ms(count + 100).max(last));
            last = due;
        }
        links.rule(ONE, TWO, Rule::PERFECT);
        assert_eq!(links.fate(ONE, TWO, ms(1_000)), Fate::At(last), "waits its turn");
        assert_eq!(links.fate(ONE, TWO, ms(2_000)), Fate::Now);
    }

    #[test]
    fn the_same_seed_loses_the_same_frames_about_as_many_as_asked_for() {
        let lost = |seed| -> Vec<usize> {
            let (mut links, now) = (Links::new(seed), Instant::now());
            links.rule(ONE, TWO, Rule::lossy(0.1));
            (0..10_000)
                .filter(|_| links.fate(ONE, TWO, now) == Fate::Lost)
                .collect()
        };
        assert_eq!(lost(7), lost(7));
        assert_ne!(lost(7), lost(8));
        assert!((900..1_100).contains(&lost(7).len()), "{}", lost(7).len());
    }
}
