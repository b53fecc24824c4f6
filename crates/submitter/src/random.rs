//! The batch of the article that distjob grew from: distinct random numbers.

use rand::{Rng, RngExt as _};

/// The smallest number of such a batch.
const LEAST: u32 = 5_000;

/// The largest.
const MOST: u32 = 90_000_000;

/// How many numbers there are.
pub(crate) const NUMBERS: u64 = (MOST - LEAST + 1) as u64;

/// Distinct numbers, uniformly from 5,000 to 90,000,000, in decimal.
///
/// One bit a number keeps them distinct: 11 MB, however many are drawn.
#[derive(Debug)]
pub(crate) struct RandomNumbers<R> {
    rng: R,
    left: u64,
    drawn: Vec<u64>,
}

impl<R: Rng> RandomNumbers<R> {
    /// `count` numbers, at most [`NUMBERS`].
    pub(crate) fn new(rng: R, count: u64) -> Self {
        Self {
            rng,
            left: count.min(NUMBERS),
            drawn: vec![0; NUMBERS.div_ceil(64) as usize],
        }
    }
}

impl<R: Rng> Iterator for RandomNumbers<R> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        self.left = self.left.checked_sub(1)?;
        loop {
            let number = self.rng.random_range(LEAST..=MOST);
            let place = number - LEAST;
            let (word, bit) = (&mut self.drawn[(place / 64) as usize], 1 << (place % 64));
            if *word & bit == 0 {
                *word |= bit;
                return Some(number.to_string().into_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand::{SeedableRng as _, rngs::StdRng};

    use super::*;

    #[test]
    fn the_numbers_are_distinct_and_all_over_the_range() {
        let numbers: HashSet<u32> = RandomNumbers::new(StdRng::seed_from_u64(1), 100_000)
            .map(|task| String::from_utf8(task).unwrap().parse().unwrap())
            .collect();
        assert_eq!(numbers.len(), 100_000);
        assert!(numbers.iter().all(|number| (LEAST..=MOST).contains(number)));
        // Each tenth of the range gets a tenth of the numbers: within 5 %, which is 15 standard deviations.
        let mut tenths = [0_i32; 10];
        for number in &numbers {
            tenths[(u64::from(number - LEAST) * 10 / NUMBERS) as usize] += 1;
        }
        assert!(
            tenths.iter().all(|count| (count - 10_000).abs() < 500),
            "{tenths:?}"
        );
    }
}
