//! The picture: throughput over time, and below it the faults.
//!
//! ```text
//!   tasks/s │ ╱╲__╱╲╱╲___╱
//!    jobs/s │ ╱╲__╱╲╱╲___╱
//!  kill-redis     ▬    ▬
//!   partition  ▬▬▬   ▬▬▬▬▬
//!             0:00   1:00
//! ```
//!
//! It has no background of its own, and colours that can be told apart on white and on black. Loss of data in Redis and
//! the end of all faults are vertical lines.

mod series;

use std::fmt::Write as _;

use harness::svg::{escaped, number, round_up};

use self::series::{Series, series};
use super::{
    clock,
    faults::{Fault, by_kind, faults},
};
use crate::{
    history::{Event, History, Sample},
    plan::{Kind, Thing},
};

/// All in the picture's own units, which are about a screen's pixels.
const WIDTH: u64 = 1_000;
const LEFT: u64 = 150;
const RIGHT: u64 = 20;
const TOP: u64 = 34;
const CURVE_HEIGHT: u64 = 130;
const GAP: u64 = 34;
const LANE: u64 = 16;
/// The room that the name of a moment needs.
const LABEL: u64 = 100;
/// A shorter fault would not be seen.
const BAR_MIN: f64 = 2.5;

/// Of the executed tasks.
const BLUE: &str = "#3d8bd4";
/// Of the delivered jobs.
const GREEN: &str = "#4c956c";
/// Of a loss in Redis.
const RED: &str = "#d1495b";
const GREY: &str = "#8a94a0";

const STYLE: &str = "<style>text{font:11px sans-serif;fill:#5c6670}.title{font-weight:bold}.grid{stroke:#8a94a0;\
                     stroke-opacity:.3}.curve{fill:none;stroke-width:1.5;stroke-linejoin:round}.mark{stroke-dasharray:4 3}\
                     @media(prefers-color-scheme:dark){text{fill:#a9b4c0}}</style>\n";

/// The picture of a run, as SVG.
#[must_use]
pub fn plot(history: &History) -> String {
    let faults = faults(history);
    let kinds = by_kind(&faults);
    let frame = Frame {
        end_ms: history.end_ms().max(1_000),
        lanes: kinds.len() as u64,
    };
    let mut picture = String::new();
    let (height, seed) = (
        frame.height(),
        history.parameters().map_or(0, |parameters| parameters.seed),
    );
    let _ = writeln!(
        picture,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" role=\"img\" aria-label=\"Throughput and faults of the run with seed {seed}\">"
    );
    picture.push_str(STYLE);
    frame.times(&mut picture);
    let executed = series(history, |sample: &Sample| sample.executed);
    let delivered = series(history, |sample: &Sample| sample.delivered_jobs);
    frame.curve(&mut picture, 0, "tasks executed/s", BLUE, &executed);
    frame.curve(&mut picture, 1, "jobs delivered/s", GREEN, &delivered);
    for ((kind, of_kind), lane) in kinds.iter().zip(0..) {
        frame.lane(&mut picture, lane, kind, of_kind);
    }
    frame.marks(&mut picture, history);
    picture.push_str("</svg>\n");
    picture
}

/// One colour for all kinds of faults that take hold of the same thing. They can be told apart on white and on black.
fn colour_of(kind: &str) -> &'static str {
    match kind.parse().map(Kind::seizes) {
        Ok(Thing::Executors) => RED,
        Ok(Thing::Watchers) => "#d98324",
        Ok(Thing::Submitters) => "#a8893a",
        Ok(Thing::ZooKeeper) => "#2a9d8f",
        Ok(Thing::Redis) => "#b5559f",
        Ok(Thing::Links) => "#7d6bd0",
        Ok(Thing::Disk | Thing::Outlets) | Err(_) => GREY,
    }
}

/// Where things are.
struct Frame {
    end_ms: u64,
    lanes: u64,
}

impl Frame {
    fn x(&self, at_ms: u64) -> f64 {
        let share = at_ms.min(self.end_ms) as f64 / self.end_ms as f64;
        LEFT as f64 + share * (WIDTH - LEFT - RIGHT) as f64
    }

    /// The bottom of a curve's field.
    const fn bottom(place: u64) -> u64 {
        TOP + place * (CURVE_HEIGHT + GAP) + CURVE_HEIGHT
    }

    const fn lanes_top() -> u64 {
        Self::bottom(1) + GAP
    }

    const fn lanes_bottom(&self) -> u64 {
        Self::lanes_top() + self.lanes * LANE
    }

    const fn height(&self) -> u64 {
        self.lanes_bottom() + 26
    }

    /// Vertical lines at round times, about ten.
    fn times(&self, picture: &mut String) {
        let steps_s = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600];
        let fits = |step_s: &&u64| self.end_ms / 1_000 / **step_s <= 12;
        let step_ms = 1_000 * steps_s.iter().find(fits).copied().unwrap_or(7_200);
        let (top, bottom) = (TOP, self.lanes_bottom() + 4);
        for at_ms in (0..=self.end_ms).step_by(usize::try_from(step_ms).unwrap_or(usize::MAX)) {
            let x = number(self.x(at_ms));
            let _ = writeln!(
                picture,
                "<line class=\"grid\" x1=\"{x}\" x2=\"{x}\" y1=\"{top}\" y2=\"{bottom}\"/>\
                 <text x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                bottom + 14,
                clock(at_ms)
            );
        }
    }

    fn curve(&self, picture: &mut String, place: u64, title: &str, colour: &str, series: &Series) {
        let bottom = Self::bottom(place);
        let top_value = round_up(series.max());
        let y = |value: f64| bottom as f64 - value / top_value * CURVE_HEIGHT as f64;
        let right = WIDTH - RIGHT;
        for value in [0.0, top_value / 2.0, top_value] {
            let at = number(y(value));
            let _ = writeln!(
                picture,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at}\" y2=\"{at}\"/>\
                 <text x=\"{}\" y=\"{at}\" dy=\"4\" text-anchor=\"end\">{}</text>",
                LEFT - 6,
                number(value)
            );
        }
        let _ = writeln!(
            picture,
            "<text class=\"title\" x=\"{LEFT}\" y=\"{}\" style=\"fill:{colour}\">{title}</text>",
            bottom - CURVE_HEIGHT - 8
        );
        let mut points = String::new();
        for (at_ms, value) in &series.points {
            let _ = write!(points, "{},{} ", number(self.x(*at_ms)), number(y(*value)));
        }
        let _ = writeln!(
            picture,
            "<polyline class=\"curve\" stroke=\"{colour}\" points=\"{}\"/>",
            points.trim_end()
        );
    }

    fn lane(&self, picture: &mut String, lane: u64, kind: &str, faults: &[Fault<'_>]) {
        let colour = colour_of(kind);
        let y = Self::lanes_top() + lane * LANE;
        let _ = writeln!(
            picture,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            LEFT - 6,
            y + 10,
            escaped(kind)
        );
        for fault in faults {
            let from = self.x(fault.from_ms);
            let width = (self.x(fault.to_ms) - from).max(BAR_MIN);
            let told = format!(
                "{} {kind} {}: {}",
                clock(fault.from_ms),
                fault.targets.join(", "),
                fault.detail
            );
            let _ = writeln!(
                picture,
                "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"1\" fill=\"{colour}\"><title>{}</title></rect>",
                number(from),
                y + 2,
                number(width),
                LANE - 5,
                escaped(&told)
            );
        }
    }

    /// Moments that matter to both curves.
    fn marks(&self, picture: &mut String, history: &History) {
        let marks = history.events().filter_map(|(at_ms, event)| match event {
            Event::StoreLost { why } => Some((at_ms, RED, "Redis lost writes", why.as_str())),
            Event::FaultsOver => Some((at_ms, GREY, "faults over", "")),
            _ => None,
        });
        let (top, bottom) = (TOP - 4, Self::bottom(1));
        // Behind the title of the curve.
        let mut free_from = (LEFT + LABEL) as f64;
        for (at_ms, colour, name, why) in marks {
            let at = self.x(at_ms);
            let x = number(at);
            let _ = writeln!(
                picture,
                "<line class=\"mark\" x1=\"{x}\" x2=\"{x}\" y1=\"{top}\" y2=\"{bottom}\" stroke=\"{colour}\"><title>{} \
                 {name} {}</title></line>",
                clock(at_ms),
                escaped(why)
            );
            // The name ends at the line, so that it fits at the right edge, too; not over another one.
            if at - LABEL as f64 >= free_from {
                let _ = writeln!(
                    picture,
                    "<text x=\"{x}\" y=\"{}\" text-anchor=\"end\" style=\"fill:{colour}\">{name}</text>",
                    top - 6
                );
                free_from = at;
            }
        }
    }
}
