//! Runs of task indexes, and leases on them.

use std::{fmt, str::FromStr};

/// A half-open run of task indexes `[lo, hi)`, never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskRange {
    lo: u64,
    hi: u64,
}

impl TaskRange {
    /// The run from `lo` up to, not including, `hi`; `None` when that is empty.
    #[must_use]
    pub const fn new(lo: u64, hi: u64) -> Option<Self> {
        if lo < hi { Some(Self { lo, hi }) } else { None }
    }

    /// First index.
    #[must_use]
    pub const fn lo(self) -> u64 {
        self.lo
    }

    /// One past the last index.
    #[must_use]
    pub const fn hi(self) -> u64 {
        self.hi
    }

    /// How many tasks.
    #[expect(clippy::len_without_is_empty, reason = "a range is never empty")]
    #[must_use]
    pub const fn len(self) -> u64 {
        self.hi - self.lo
    }

    /// What is left after the tasks before `lo` are done; `None` when nothing is.
    #[must_use]
    pub const fn after(self, lo: u64) -> Option<Self> {
        Self::new(if lo > self.lo { lo } else { self.lo }, self.hi)
    }

    /// What is left after the tasks from `hi` on are done; `None` when nothing is.
    #[must_use]
    pub const fn before(self, hi: u64) -> Option<Self> {
        Self::new(self.lo, if hi < self.hi { hi } else { self.hi })
    }

    /// Whether every task of `part` is one of these.
    #[must_use]
    pub const fn covers(self, part: Self) -> bool {
        self.lo <= part.lo && part.hi <= self.hi
    }

    /// Whether there is a task in both.
    #[must_use]
    pub const fn overlaps(self, other: Self) -> bool {
        self.lo < other.hi && other.lo < self.hi
    }
}

impl fmt::Display for TaskRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.lo, self.hi)
    }
}

/// A range with the number of deaths that it has seen, as `leases` and `freed` hold it: `lo:hi:attempts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lease {
    /// The tasks.
    pub range: TaskRange,
    /// How often this range was given back because its executor died.
    pub attempts: u32,
}

/// The text is not `lo:hi:attempts` with `lo < hi`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a lease is written lo:hi:attempts with lo < hi, not as {0:?}")]
pub struct LeaseError(String);

impl Lease {
    /// Reads the comma-separated leases of one holder; an empty text holds none.
    ///
    /// # Errors
    /// With the first part that is no lease.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, LeaseError> {
        text.split(',')
            .filter(|part| !part.is_empty())
            .map(str::parse)
            .collect()
    }
}

impl fmt::Display for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.range.lo, self.range.hi, self.attempts)
    }
}

impl FromStr for Lease {
    type Err = LeaseError;

    fn from_str(text: &str) -> Result<Self, LeaseError> {
        let parse = || {
            let mut parts = text.splitn(3, ':');
            let lo = parts.next()?.parse().ok()?;
            let hi = parts.next()?.parse().ok()?;
            let attempts = parts.next()?.parse().ok()?;
            Some(Self {
                range: TaskRange::new(lo, hi)?,
                attempts,
            })
        };
        parse().ok_or_else(|| LeaseError(text.chars().take(60).collect()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lease_lists_go_both_ways(raw in prop::collection::vec((0u64..1000, 1u64..1000, any::<u32>()), 0..8)) {
            let leases: Vec<Lease> = raw
                .into_iter()
                .map(|(lo, len, attempts)| Lease { range: TaskRange::new(lo, lo + len).unwrap(), attempts })
                .collect();
            let text: Vec<String> = leases.iter().map(Lease::to_string).collect();
            prop_assert_eq!(Lease::parse_list(&text.join(",")), Ok(leases));
        }
    }

    #[test]
    fn an_empty_range_cannot_be_written_down() {
        assert_eq!(TaskRange::new(3, 3), None);
        assert!("3:3:0".parse::<Lease>().is_err());
        assert!("3:4".parse::<Lease>().is_err());
        assert!("3:4:0:0".parse::<Lease>().is_err());
        assert!("-3:4:0".parse::<Lease>().is_err());
    }

    #[test]
    fn a_range_shrinks_from_the_front_until_nothing_is_left() {
        let range = TaskRange::new(3, 6).unwrap();
        assert_eq!(range.after(2), Some(range));
        assert_eq!(range.after(5), TaskRange::new(5, 6));
        assert_eq!(range.after(6), None);
    }

    #[test]
    fn a_range_shrinks_from_the_back_until_nothing_is_left() {
        let range = TaskRange::new(3, 6).unwrap();
        assert_eq!(range.before(7), Some(range));
        assert_eq!(range.before(4), TaskRange::new(3, 4));
        assert_eq!(range.before(3), None);
        assert_eq!(range.before(0), None);
    }

    #[test]
    fn a_range_covers_its_parts_and_overlaps_whatever_it_shares_a_task_with() {
        let range = |lo, hi| TaskRange::new(lo, hi).unwrap();
        let whole = range(3, 6);
        for part in [whole, range(3, 4), range(4, 5), range(5, 6)] {
            assert!(
                whole.covers(part) && whole.overlaps(part) && part.overlaps(whole),
                "{part}"
            );
        }
        for other in [range(2, 4), range(5, 7), range(2, 7)] {
            assert!(!whole.covers(other) && whole.overlaps(other), "{other}");
        }
        for neighbour in [range(2, 3), range(6, 7)] {
            assert!(
                !whole.overlaps(neighbour) && !neighbour.overlaps(whole),
                "{neighbour}"
            );
        }
    }
}
