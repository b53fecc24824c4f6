//! What many values of one kind come to.

use std::time::Duration;

/// Values in order.
#[derive(Debug, Default)]
pub(crate) struct Quantiles(Vec<f64>);

impl Quantiles {
    /// Of times, in milliseconds.
    pub(crate) fn of_times(times: impl IntoIterator<Item = Duration>) -> Self {
        let mut values: Vec<_> = times
            .into_iter()
            .map(|time| time.as_secs_f64() * 1000.0)
            .collect();
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// The value that this share of all, from 0 to 1, does not exceed; not a number when there are none.
    pub(crate) fn at(&self, share: f64) -> f64 {
        let rank = (share * self.0.len() as f64).ceil() as usize;
        let last = self.0.len().saturating_sub(1);
        self.0
            .get(rank.saturating_sub(1).min(last))
            .copied()
            .unwrap_or(f64::NAN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_values_do_not_exceed_the_middle_one() {
        let quantiles = Quantiles::of_times((1..=100).rev().map(Duration::from_millis));
        assert_eq!(
            [0.5, 0.99, 1.0].map(|share| quantiles.at(share)),
            [50.0, 99.0, 100.0]
        );
    }

    #[test]
    fn there_is_none_of_nothing() {
        assert!(Quantiles::default().at(0.5).is_nan());
    }
}
