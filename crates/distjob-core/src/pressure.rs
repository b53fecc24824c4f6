//! When a service that takes work in should take no more of it.
//!
//! Three things make it say "later": the store's memory is nearly full, too many jobs wait, or a store does not answer.
//! The first two are levels with a bound. Once a level has reached its bound it must fall a little below it before
//! work is taken in again, so that the answer does not change with every look.
//!
//! This is good manners, not safety: a store that is full refuses by itself, and what it refuses was never acknowledged.

use std::{fmt, time::Duration};

use crate::Percent;

/// Up to what work is taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How full the store's memory may be, of what it may use. It counts only for a store that has a limit itself.
    pub memory_max: Percent,
    /// How many jobs there may be in the ledger; 0 is no limit.
    pub jobs_max: u64,
}

/// What was seen of the stores last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// The memory of the store: bytes used, and bytes that may be used, if that is limited.
    pub memory: Option<(u64, u64)>,
    /// Jobs in the ledger.
    pub jobs: u64,
    /// A store that does not answer.
    pub away: Option<&'static str>,
}

/// Why no more work is taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pressure {
    /// This store does not answer.
    Away(&'static str),
    /// The store's memory is used up to the limit, or nearly.
    Memory {
        /// Bytes in use.
        used: u64,
        /// Bytes that may be used.
        max: u64,
        /// The limit.
        limit: Percent,
    },
    /// There are as many jobs as may be, or nearly.
    Jobs {
        /// How many there are.
        jobs: u64,
        /// The limit.
        limit: u64,
    },
}

/// The share of a bound below which a level must fall before it counts as below the bound again.
const EASED: (u64, u64) = (19, 20);

impl Limits {
    /// What stands against taking in more work, if anything does. `before` is what did at the last look.
    #[must_use]
    pub fn judge(&self, load: &Load, before: Option<Pressure>) -> Option<Pressure> {
        if let Some(store) = load.away {
            return Some(Pressure::Away(store));
        }
        let was_full = matches!(before, Some(Pressure::Memory { .. }));
        if let Some((used, max)) = load.memory
            && used >= bound(self.memory_max.of(max), was_full)
        {
            let limit = self.memory_max;
            return Some(Pressure::Memory { used, max, limit });
        }
        let was_crowded = matches!(before, Some(Pressure::Jobs { .. }));
        let limit = self.jobs_max;
        let is_crowded = limit > 0 && load.jobs >= bound(limit, was_crowded);
        is_crowded.then_some(Pressure::Jobs {
            jobs: load.jobs,
            limit,
        })
    }
}

/// From which level on there is pressure. Never nothing: an empty store is not full.
fn bound(limit: u64, was_reached: bool) -> u64 {
    let (part, whole) = EASED;
    let eased = limit / whole * part + limit % whole * part / whole;
    if was_reached { eased } else { limit }.max(1)
}

impl Pressure {
    /// After how long it makes sense to look again, for somebody who was refused.
    #[must_use]
    pub const fn retry_after(&self) -> Duration {
        match self {
            Self::Away(_) => Duration::from_secs(4),
            Self::Memory { .. } | Self::Jobs { .. } => Duration::from_secs(10),
        }
    }

    /// A word for it, for labels.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Away(_) => "away",
            Self::Memory { .. } => "memory",
            Self::Jobs { .. } => "jobs",
        }
    }
}

impl fmt::Display for Pressure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away(store) => write!(f, "{store} does not answer"),
            Self::Memory { used, max, limit } => {
                write!(f, "redis uses {used} of {max} bytes, and the limit is {limit}")
            }
            Self::Jobs { jobs, limit } => {
                write!(
                    f,
                    "{jobs} jobs wait to be done and delivered, and the limit is {limit}"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMORY: Pressure = Pressure::Memory {
        used: 0,
        max: 0,
        limit: Percent::ZERO,
    };
    const JOBS: Pressure = Pressure::Jobs { jobs: 0, limit: 0 };

    fn limits() -> Limits {
        Limits {
            memory_max: "90%".parse().unwrap(),
            jobs_max: 100,
        }
    }

    fn word(load: Load, before: Option<Pressure>) -> &'static str {
        limits()
            .judge(&load, before)
            .map_or("none", |pressure| pressure.word())
    }

    fn memory(used: u64) -> Load {
        Load {
            memory: Some((used, 1000)),
            ..Load::default()
        }
    }

    fn jobs(jobs: u64) -> Load {
        Load {
            jobs,
            ..Load::default()
        }
    }

    #[test]
    fn a_level_that_reaches_its_bound_is_pressure_until_it_falls_a_twentieth_below() {
        assert_eq!(word(memory(899), None), "none");
        assert_eq!(word(memory(900), None), "memory");
        assert_eq!(word(memory(855), Some(MEMORY)), "memory");
        assert_eq!(word(memory(854), Some(MEMORY)), "none");
        assert_eq!(word(jobs(99), None), "none");
        assert_eq!(word(jobs(100), None), "jobs");
        assert_eq!(word(jobs(95), Some(JOBS)), "jobs");
        assert_eq!(word(jobs(94), Some(JOBS)), "none");
    }

    #[test]
    fn one_pressure_does_not_lower_the_bound_of_another() {
        assert_eq!(word(jobs(96), Some(MEMORY)), "none");
        assert_eq!(word(memory(880), Some(JOBS)), "none");
    }

    #[test]
    fn a_store_that_is_away_is_told_before_all_else() {
        let away = Load {
            away: Some("redis"),
            ..memory(1000)
        };
        assert_eq!(word(away, None), "away");
        assert_eq!(
            limits().judge(&away, None).unwrap().to_string(),
            "redis does not answer"
        );
    }

    #[test]
    fn a_store_without_a_limit_is_never_full_and_no_limit_of_jobs_is_never_reached() {
        let unlimited = Limits {
            jobs_max: 0,
            ..limits()
        };
        assert_eq!(unlimited.judge(&jobs(u64::MAX), None), None);
        assert_eq!(unlimited.judge(&jobs(u64::MAX), Some(JOBS)), None);
    }

    #[test]
    fn with_the_smallest_limits_an_empty_store_still_takes_work_in() {
        let smallest = Limits {
            memory_max: Percent::ZERO,
            jobs_max: 1,
        };
        assert_eq!(smallest.judge(&memory(0), Some(MEMORY)), None);
        assert_eq!(smallest.judge(&jobs(0), Some(JOBS)), None);
        assert_eq!(smallest.judge(&jobs(1), None).unwrap().word(), "jobs");
    }

    #[test]
    fn the_reason_is_told_with_its_figures() {
        let told = |load| limits().judge(&load, None).unwrap().to_string();
        assert_eq!(
            told(memory(950)),
            "redis uses 950 of 1000 bytes, and the limit is 90%"
        );
        assert_eq!(
            told(jobs(100)),
            "100 jobs wait to be done and delivered, and the limit is 100"
        );
    }
}
