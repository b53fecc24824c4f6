//! The table of what was measured.

use std::fmt;

/// What was measured, a line each.
#[derive(Debug, Default)]
pub(super) struct Table(Vec<Line>);

#[derive(Debug)]
struct Line {
    what: String,
    ours: String,
    theirs: String,
    ratio: String,
}

impl Table {
    /// Adds two rates in tasks a second, measured so often by turns. What is told are their middles, and the middle of
    /// their ratios.
    pub(super) fn rates(&mut self, what: &str, pairs: &[(f64, f64)]) {
        let middle_of = |pick: fn(&(f64, f64)) -> f64| middle(pairs.iter().map(pick).collect());
        self.add(Line {
            what: what.to_owned(),
            ours: format!("{:.0}/s", middle_of(|pair| pair.0)),
            theirs: format!("{:.0}/s", middle_of(|pair| pair.1)),
            ratio: format!("{:.2}", middle_of(|pair| pair.0 / pair.1)),
        });
    }

    /// Adds a rate that stands for itself.
    pub(super) fn rate(&mut self, what: &str, rates: Vec<f64>) {
        self.figure(what, format!("{:.0}/s", middle(rates)));
    }

    /// Adds anything else.
    pub(super) fn figure(&mut self, what: &str, figure: String) {
        self.add(Line {
            what: what.to_owned(),
            ours: figure,
            theirs: String::new(),
            ratio: String::new(),
        });
    }

    fn add(&mut self, line: Line) {
        eprintln!("    {}: {} {} {}", line.what, line.ours, line.theirs, line.ratio);
        self.0.push(line);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |what: &str, ours: &str, theirs: &str, ratio: &str| {
            writeln!(f, "{what:<58} {ours:>12} {theirs:>12} {ratio:>7}")
        };
        line("measure", "distjob", "counterpart", "ratio")?;
        self.0.iter().try_for_each(
            |Line {
                 what,
                 ours,
                 theirs,
                 ratio,
             }| line(what, ours, theirs, ratio),
        )
    }
}

/// The one in the middle.
fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
