//! A line of the table: what distjob did, what the counterpart did, and whether that is as it should be.

use serde::Serialize;

/// A measure, taken once a round.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(super) what: String,
    pub(super) unit: &'static str,
    pub(super) ours: Vec<f64>,
    pub(super) against: Option<Against>,
    pub(super) target: Option<Target>,
}

/// The counterpart.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Against {
    pub(super) name: String,
    pub(super) rounds: Vec<f64>,
}

/// What the ratio should be; the measure itself where there is no counterpart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

impl Row {
    /// A measure with its unit, such as "tasks/s", "ms" or "B"; one value a round.
    pub(crate) fn new(what: impl Into<String>, unit: &'static str, ours: impl Into<Vec<f64>>) -> Self {
        Self {
            what: what.into(),
            unit,
            ours: ours.into(),
            against: None,
            target: None,
        }
    }

    /// A measure and that of its counterpart, taken by turns: (ours, theirs) a round.
    pub(crate) fn pairs(
        what: impl Into<String>,
        unit: &'static str,
        name: impl Into<String>,
        pairs: &[(f64, f64)],
    ) -> Self {
        let (ours, theirs): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
        Self::new(what, unit, ours).against(name, theirs)
    }

    /// With the counterpart's values, in the same unit. With as many of them as there are of ours they are taken to be of the
    /// same rounds.
    pub(crate) fn against(mut self, name: impl Into<String>, rounds: impl Into<Vec<f64>>) -> Self {
        self.against = Some(Against {
            name: name.into(),
            rounds: rounds.into(),
        });
        self
    }

    /// The ratio (or the measure, where there is no counterpart) should not be less.
    pub(crate) fn at_least(mut self, least: f64) -> Self {
        self.target = Some(Target::AtLeast(least));
        self
    }

    /// The ratio (or the measure, where there is no counterpart) should not be more.
    pub(crate) fn at_most(mut self, most: f64) -> Self {
        self.target = Some(Target::AtMost(most));
        self
    }

    /// The middle of the rounds.
    pub(crate) fn value(&self) -> f64 {
        middle(&self.ours)
    }

    /// Ours by theirs: the middle of the rounds' ratios.
    pub(crate) fn ratio(&self) -> Option<f64> {
        let theirs = &self.against.as_ref()?.rounds;
        if theirs.len() != self.ours.len() {
            return Some(self.value() / middle(theirs));
        }
        let ratios: Vec<_> = self
            .ours
            .iter()
            .zip(theirs)
            .map(|(ours, theirs)| ours / theirs)
            .collect();
        Some(middle(&ratios))
    }

    /// Whether it is as it should be; none where nothing was said about that.
    pub(crate) fn is_met(&self) -> Option<bool> {
        let measured = self.ratio().unwrap_or_else(|| self.value());
        Some(match self.target? {
            Target::AtLeast(least) => measured >= least,
            Target::AtMost(most) => measured <= most,
        })
    }

    /// Whether every number is there.
    pub(crate) fn is_sound(&self) -> bool {
        let theirs = self.against.iter().flat_map(|against| &against.rounds);
        let is_number = |value: &f64| value.is_finite() && *value >= 0.0;
        !self.ours.is_empty()
            && self.ours.iter().chain(theirs).all(is_number)
            && self.ratio().is_none_or(f64::is_finite)
    }

    /// In a line, for who waits.
    pub(super) fn brief(&self) -> String {
        let mut brief = format!("{}: {}", self.what, shown(self.value(), self.unit));
        if let (Some(against), Some(ratio)) = (&self.against, self.ratio()) {
            let theirs = shown(middle(&against.rounds), self.unit);
            brief += &format!(", {}: {theirs}, ratio {ratio:.2}", against.name);
        }
        brief
    }
}

/// The one in the middle; not a number when there is none.
pub(crate) fn middle(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A value with its unit, to three digits or so; bytes in the unit that fits.
pub(super) fn shown(value: f64, unit: &str) -> String {
    let (value, unit) = match unit {
        "B" if value >= 1024.0 * 1024.0 => (value / (1024.0 * 1024.0), "MiB"),
        "B" if value >= 10.0 * 1024.0 => (value / 1024.0, "KiB"),
        unit => (value, unit),
    };
    let number = match value.abs() {
        0.0 => "0".to_owned(),
        ..1.0 => format!("{value:.3}"),
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => grouped(value),
    };
    format!("{number} {unit}").trim_end().to_owned()
}

/// A whole number with its thousands apart.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && digit.is_ascii_digit() && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_the_ratios_counts_and_not_the_ratio_of_the_middles() {
        let row = Row::pairs(
            "x",
            "tasks/s",
            "floor",
            &[(10.0, 5.0), (30.0, 10.0), (20.0, 20.0)],
        )
        .at_least(2.0);
        assert_eq!(
            (row.value(), row.ratio(), row.is_met()),
            (20.0, Some(2.0), Some(true))
        );
        assert_eq!(row.at_most(1.9).is_met(), Some(false));
    }

    #[test]
    fn without_a_counterpart_the_measure_itself_is_judged() {
        let row = Row::new("x", "ms", [3.0]).at_most(2.0);
        assert_eq!((row.ratio(), row.is_met()), (None, Some(false)));
    }

    #[test]
    fn a_number_that_is_none_is_noticed() {
        assert!(Row::new("x", "ms", [1.0]).is_sound());
        assert!(!Row::new("x", "ms", []).is_sound());
        assert!(!Row::new("x", "ms", [f64::NAN]).is_sound());
        assert!(!Row::new("x", "ms", [1.0]).against("nothing", [0.0]).is_sound());
    }

    #[test]
    fn values_are_short() {
        let shown = [
            (1_234_567.0, "tasks/s"),
            (12.345, "ms"),
            (0.5, "µs"),
            (3_145_728.0, "B"),
        ]
        .map(|(value, unit)| shown(value, unit));
        assert_eq!(shown, ["1,234,567 tasks/s", "12.3 ms", "0.500 µs", "3.00 MiB"]);
    }
}
