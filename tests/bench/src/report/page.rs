//! The table, plain and as a page.

use std::fmt::Write as _;

use super::{
    Report, Section,
    row::{Row, Target, middle, shown},
};

/// The table as a terminal shows it.
pub(super) fn table(report: &Report) -> String {
    let mut text = String::new();
    for section in &report.figures {
        let _ = writeln!(text, "\n{}: {}", section.name, section.about);
        for row in &section.rows {
            let [ours, theirs, ratio, verdict] = cells(report, row);
            let _ = writeln!(
                text,
                "  {:<62} {ours:>18}  {theirs:<44} {ratio:>8}  {verdict}",
                row.what
            );
        }
        for remark in remarks(section) {
            let _ = writeln!(text, "  {remark}");
        }
    }
    text
}

/// The same as a page in Markdown.
pub(super) fn page(report: &Report) -> String {
    let mut text = format!("# Benchmark\n\n{}\n", told(report));
    for section in &report.figures {
        let _ = writeln!(
            text,
            "\n## {}\n\n{}\n\n| measure | distjob | spread | counterpart | ratio | target |\n|---|--:|--:|---|--:|---|",
            section.name, section.about
        );
        for row in &section.rows {
            let [ours, theirs, ratio, verdict] = cells(report, row);
            let spread = spread(row);
            let _ = writeln!(
                text,
                "| {} | {ours} | {spread} | {theirs} | {ratio} | {verdict} |",
                row.what
            );
        }
        for remark in remarks(section) {
            let _ = writeln!(text, "\n{remark}");
        }
        if !(section.rows.is_empty() && section.series.is_empty()) {
            let _ = writeln!(text, "\n![{}]({})", section.about, section.picture());
        }
    }
    text
}

fn told(report: &Report) -> String {
    match report.quick {
        true => "Measured quickly, once each: it works. How fast it is cannot be seen from this.".to_owned(),
        false => format!(
            "Each measure is the middle of {} rounds; the spread is from the least to the most. Ratios are distjob's figure by \
             its counterpart's in the same round, the middle one counts.",
            report.rounds
        ),
    }
}

fn remarks(section: &Section) -> impl Iterator<Item = String> {
    let error = section.error.iter().map(|error| format!("FAILED: {error}"));
    section.notes.iter().cloned().chain(error)
}

/// Ours, the counterpart's, the ratio, and what comes of the target.
fn cells(report: &Report, row: &Row) -> [String; 4] {
    let theirs = row.against.as_ref().map(|against| {
        let value = shown(middle(&against.rounds), row.unit);
        format!("{}: {value}", against.name)
    });
    let ratio = row.ratio().map(|ratio| shown(ratio, ""));
    let verdict = row.target.map(|target| {
        let wanted = match target {
            Target::AtLeast(least) => format!("≥ {least}"),
            Target::AtMost(most) => format!("≤ {most}"),
        };
        match row.is_met() {
            _ if report.quick => wanted,
            Some(true) => format!("{wanted} met"),
            _ => format!("{wanted} MISSED"),
        }
    });
    [
        shown(row.value(), row.unit),
        theirs.unwrap_or_default(),
        ratio.unwrap_or_default(),
        verdict.unwrap_or_default(),
    ]
}

fn spread(row: &Row) -> String {
    let (least, most) = row
        .ours
        .iter()
        .fold((f64::INFINITY, 0.0_f64), |(least, most), value| {
            (least.min(*value), most.max(*value))
        });
    match row.ours.len() {
        0 | 1 => String::new(),
        _ => format!("{} to {}", shown(least, row.unit), shown(most, row.unit)),
    }
}
