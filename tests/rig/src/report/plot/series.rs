//! Rates over time, from totals that were sampled.

use crate::history::{Event, History, Sample};

/// Points of a curve at most: a picture has no room for more.
const POINTS: u64 = 240;

/// A rate over time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Series {
    /// When, in milliseconds since the run began, and how many a second.
    pub(super) points: Vec<(u64, f64)>,
}

impl Series {
    pub(super) fn max(&self) -> f64 {
        self.points.iter().map(|(_, value)| *value).fold(0.0, f64::max)
    }
}

/// How fast a total grew: between samples that are at least a `POINTS`th of the run apart.
pub(super) fn series(history: &History, total: impl Fn(&Sample) -> u64) -> Series {
    let apart_ms = (history.end_ms() / POINTS).max(900);
    let mut samples = history.events().filter_map(|(at_ms, event)| match event {
        Event::Sampled(sample) => Some((at_ms, total(sample))),
        _ => None,
    });
    let mut series = Series::default();
    let Some(mut before) = samples.next() else {
        return series;
    };
    for (at_ms, total) in samples {
        let past_ms = at_ms - before.0;
        if past_ms >= apart_ms {
            let grown = total.saturating_sub(before.1) as f64;
            // In its middle: it is what happened all along.
            series
                .points
                .push((at_ms - past_ms / 2, 1_000.0 * grown / past_ms as f64));
            before = (at_ms, total);
        }
    }
    series
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Entry;

    fn sampled(totals: &[(u64, u64)]) -> History {
        let entries = totals.iter().map(|&(at_ms, executed)| Entry {
            at_ms,
            event: Event::Sampled(Sample {
                executed,
                ..Sample::default()
            }),
        });
        History {
            entries: entries.collect(),
        }
    }

    #[test]
    fn a_rate_is_what_was_added_over_the_time_that_it_took() {
        let history = sampled(&[(0, 0), (1_000, 50), (3_000, 50), (3_100, 60), (4_000, 150)]);
        let series = series(&history, |sample| sample.executed);
        assert_eq!(series.points, [(500, 50.0), (2_000, 0.0), (3_500, 100.0)]);
    }

    #[test]
    fn a_long_run_has_no_more_points_than_fit() {
        let totals: Vec<_> = (0..3_600).map(|second| (1_000 * second, second)).collect();
        let series = series(&sampled(&totals), |sample| sample.executed);
        assert!(
            (200..=240).contains(&series.points.len()),
            "{}",
            series.points.len()
        );
    }
}
