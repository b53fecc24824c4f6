//! A pair: two bars, the longer one as long as there is room, and their ratio.

use super::{Anchor, BLUE, Canvas, GREEN, GREY, RED, WIDTH};
use crate::report::row::{Row, Target, middle, shown};

/// Where bars begin, behind what was measured.
const LEFT: f64 = 430.0;
/// The room behind them, for their values and the ratio.
const RIGHT: f64 = 270.0;
const BAR: f64 = 12.0;

/// Draws a row. One without a counterpart has no bar, since there is nothing that it could be long or short against.
pub(super) fn bars(canvas: &mut Canvas, row: &Row, quick: bool) {
    let top = canvas.height + 10.0;
    canvas.text((LEFT - 10.0, top + 10.0), Anchor::End, "", &row.what);
    let ours = row.value();
    let Some(against) = &row.against else {
        canvas.text((LEFT, top + 10.0), Anchor::Start, BLUE, &shown(ours, row.unit));
        canvas.height = top + BAR;
        return;
    };
    let theirs = middle(&against.rounds);
    let longest = ours.max(theirs);
    let length = |value: f64| {
        if longest > 0.0 {
            value / longest * (WIDTH - LEFT - RIGHT)
        } else {
            0.0
        }
    };
    let names = [("distjob", ours, BLUE), (against.name.as_str(), theirs, GREY)];
    for ((name, value, colour), y) in names.into_iter().zip([top, top + BAR + 2.0]) {
        canvas.add(format_args!(
            "<rect x=\"{LEFT}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{BAR}\" rx=\"1\" fill=\"{colour}\"/>",
            length(value).max(1.0)
        ));
        let label = format!("{}  {name}", shown(value, row.unit));
        canvas.text((LEFT + length(value) + 6.0, y + 10.0), Anchor::Start, "", &label);
    }
    if let Some(ratio) = row.ratio() {
        let (colour, wanted) = verdict(row, quick);
        let told = format!("× {ratio:.2}{wanted}");
        canvas.text((LEFT - 10.0, top + BAR + 12.0), Anchor::End, colour, &told);
    }
    canvas.height = top + 2.0 * BAR + 6.0;
}

/// The colour of the ratio, and what it should be.
fn verdict(row: &Row, quick: bool) -> (&'static str, String) {
    let wanted = match row.target {
        Some(Target::AtLeast(least)) => format!(" (target: ≥ {least})"),
        Some(Target::AtMost(most)) => format!(" (target: ≤ {most})"),
        None => String::new(),
    };
    let colour = match row.is_met() {
        Some(true) if !quick => GREEN,
        Some(false) if !quick => RED,
        _ => "",
    };
    (colour, wanted)
}
