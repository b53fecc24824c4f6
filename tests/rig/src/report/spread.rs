//! How times are spread.

/// The figures of a set of times, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spread {
    pub(super) count: usize,
    pub(super) median: u64,
    pub(super) p99: u64,
    pub(super) max: u64,
}

impl Spread {
    /// None of no times.
    pub(super) fn of(mut times: Vec<u64>) -> Option<Self> {
        times.sort_unstable();
        let max = *times.last()?;
        Some(Self {
            count: times.len(),
            median: at_rank(&times, 50),
            p99: at_rank(&times, 99),
            max,
        })
    }
}

/// The smallest of `sorted` that so many percent of them do not exceed.
fn at_rank(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_those_of_the_sorted_times() {
        let spread = Spread::of((1..=200).rev().collect()).unwrap();
        assert_eq!(
            spread,
            Spread {
                count: 200,
                median: 100,
                p99: 198,
                max: 200
            }
        );
        assert_eq!(
            Spread::of(vec![7]).map(|spread| (spread.median, spread.p99)),
            Some((7, 7))
        );
        assert_eq!(Spread::of(Vec::new()), None);
    }
}
