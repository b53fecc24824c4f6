//! A set of indexes, kept as runs.

use std::collections::BTreeMap;

/// Indexes, as the fewest runs `lo → hi` that hold them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spans(BTreeMap<u64, u64>);

impl Spans {
    /// Adds `lo..hi`. `false`, and nothing happens, when that is empty or one of them is there already.
    #[must_use]
    pub(crate) fn insert(&mut self, lo: u64, hi: u64) -> bool {
        let before = self.0.range(..hi).next_back().map(|(from, to)| (*from, *to));
        if lo >= hi || before.is_some_and(|(_, to)| to > lo) {
            return false;
        }
        let from = before.filter(|(_, to)| *to == lo).map_or(lo, |(from, _)| from);
        let to = self.0.remove(&hi).unwrap_or(hi);
        self.0.insert(from, to);
        true
    }

    /// Adds `lo..hi`, whatever of it is there.
    pub(crate) fn add(&mut self, lo: u64, hi: u64) {
        for (from, to) in self.gaps(lo, hi) {
            let is_new = self.insert(from, to);
            debug_assert!(is_new, "a gap is missing");
        }
    }

    /// Whether some of `lo..hi` is there.
    pub(crate) fn overlaps(&self, lo: u64, hi: u64) -> bool {
        lo < hi && self.0.range(..hi).next_back().is_some_and(|(_, to)| *to > lo)
    }

    /// Takes away whatever of `lo..hi` is there.
    pub(crate) fn remove(&mut self, lo: u64, hi: u64) {
        if lo >= hi {
            return;
        }
        while let Some((from, to)) = self.0.range(..hi).next_back().map(|(from, to)| (*from, *to))
            && to > lo
        {
            self.0.remove(&from);
            if to > hi {
                self.0.insert(hi, to);
            }
            if from < lo {
                self.0.insert(from, lo);
            }
        }
    }

    /// The runs, in order.
    pub(crate) fn runs(&self) -> impl ExactSizeIterator<Item = (u64, u64)> {
        self.0.iter().map(|(from, to)| (*from, *to))
    }

    /// The runs of what is missing in `lo..hi`, in order.
    pub(crate) fn gaps(&self, lo: u64, hi: u64) -> Vec<(u64, u64)> {
        let mut gaps = Vec::new();
        let mut at = lo;
        for (&from, &to) in self.0.range(..hi) {
            if from > at {
                gaps.push((at, from));
            }
            at = at.max(to);
        }
        if at < hi {
            gaps.push((at, hi));
        }
        gaps
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_set_of_what_was_inserted_and_not_removed(
            steps in prop::collection::vec((any::<bool>(), 0u64..60, 0u64..12), 0..30), lo in 0u64..70, len in 0u64..70,
        ) {
            let (mut spans, mut set) = (Spans::default(), BTreeSet::new());
            for (insert, from, len) in steps {
                if !insert {
                    spans.remove(from, from + len);
                    set.retain(|index| !(from..from + len).contains(index));
                    continue;
                }
                let fits = len > 0 && (from..from + len).all(|index| !set.contains(&index));
                prop_assert_eq!(spans.insert(from, from + len), fits);
                if fits {
                    set.extend(from..from + len);
                }
            }
            let gaps = spans.gaps(lo, lo + len);
            let missing: Vec<u64> = gaps.iter().flat_map(|(from, to)| *from..*to).collect();
            let expected: Vec<u64> = (lo..lo + len).filter(|index| !set.contains(index)).collect();
            prop_assert_eq!(spans.overlaps(lo, lo + len), expected.len() as u64 != len);
            prop_assert_eq!(missing, expected);
            prop_assert_eq!(spans.runs().flat_map(|(from, to)| from..to).collect::<BTreeSet<_>>(), set);
            // The fewest runs: no two of them touch.
            prop_assert!(spans.runs().zip(spans.runs().skip(1)).all(|((_, to), (from, _))| to < from));
            prop_assert!(gaps.windows(2).all(|pair| pair[0].1 < pair[1].0));
        }
    }
}
