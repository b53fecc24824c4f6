//! A series: how something grows.

use harness::svg::round_up;

use super::{Anchor, BLUE, Canvas, GREEN, GREY, RED, WIDTH};
use crate::report::{Line, Scale, Series};

const LEFT: f64 = 90.0;
/// The room for the names of the lines.
const RIGHT: f64 = 230.0;
const HEIGHT: f64 = 200.0;

/// Of the lines, in their order, and then again.
const COLOURS: [&str; 6] = [BLUE, RED, GREEN, "#d98324", "#7d6bd0", GREY];

/// Where a point is.
struct Frame {
    bottom: f64,
    scale: Scale,
    /// The axis, in what the scale makes of x.
    from: f64,
    to: f64,
    top_value: f64,
}

impl Frame {
    /// For all lines. None without a point.
    fn around(lines: &[Line], scale: Scale, bottom: f64) -> Option<Self> {
        let points = || lines.iter().flat_map(|line| &line.points);
        let most = |values: &mut dyn Iterator<Item = f64>| values.reduce(f64::max);
        let last = most(&mut points().map(|(x, _)| *x))?;
        let first = points().map(|(x, _)| *x).reduce(f64::min)?;
        let (from, to) = match scale {
            Scale::Linear => (0.0, round_up(last)),
            Scale::Log => (first.log10().floor(), last.log10().ceil()),
        };
        Some(Self {
            bottom,
            scale,
            from,
            to: if to > from { to } else { from + 1.0 },
            top_value: round_up(most(&mut points().map(|(_, y)| *y))?),
        })
    }

    fn x(&self, x: f64) -> f64 {
        let x = match self.scale {
            Scale::Linear => x,
            Scale::Log => x.log10(),
        };
        LEFT + (x - self.from) / (self.to - self.from) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, y: f64) -> f64 {
        self.bottom - y / self.top_value * HEIGHT
    }

    /// Values of x that have a line of their own.
    fn ticks(&self) -> Vec<f64> {
        match self.scale {
            Scale::Linear => (0..=5).map(|step| self.to / 5.0 * f64::from(step)).collect(),
            Scale::Log => {
                let decades = (self.to - self.from).round() as i32;
                (0..=decades)
                    .map(|step| 10_f64.powf(self.from + f64::from(step)))
                    .collect()
            }
        }
    }
}

/// Draws a series below what is there.
pub(super) fn lines(canvas: &mut Canvas, series: &Series) {
    canvas.height += 10.0;
    canvas.title(&format!("{}: {}", series.name, series.y));
    let bottom = canvas.height + HEIGHT + 6.0;
    let Some(frame) = Frame::around(&series.lines, series.scale, bottom) else {
        return;
    };
    axes(canvas, &frame, &series.x);
    for ((line, colour), place) in series.lines.iter().zip(COLOURS.iter().cycle()).zip(0_u32..) {
        let points: Vec<_> = line
            .points
            .iter()
            .map(|(x, y)| format!("{:.1},{:.1}", frame.x(*x), frame.y(*y)))
            .collect();
        canvas.add(format_args!(
            "<polyline class=\"curve\" stroke=\"{colour}\" points=\"{}\"/>",
            points.join(" ")
        ));
        for point in &points {
            if let Some((x, y)) = point.split_once(',') {
                canvas.add(format_args!(
                    "<circle cx=\"{x}\" cy=\"{y}\" r=\"3\" fill=\"{colour}\"/>"
                ));
            }
        }
        let y = bottom - HEIGHT + 12.0 + 18.0 * f64::from(place);
        canvas.text((WIDTH - RIGHT + 16.0, y), Anchor::Start, colour, &line.name);
    }
    canvas.height = bottom + 34.0;
}

fn axes(canvas: &mut Canvas, frame: &Frame, x_label: &str) {
    let (bottom, right) = (frame.bottom, WIDTH - RIGHT);
    for value in [0.0, frame.top_value / 2.0, frame.top_value] {
        let y = frame.y(value);
        canvas.add(format_args!(
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>"
        ));
        canvas.text((LEFT - 8.0, y + 4.0), Anchor::End, "", &short(value));
    }
    for value in frame.ticks() {
        let x = frame.x(value);
        let top = bottom - HEIGHT;
        canvas.add(format_args!(
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top:.1}\" y2=\"{bottom:.1}\"/>"
        ));
        canvas.text((x, bottom + 16.0), Anchor::Middle, "", &short(value));
    }
    canvas.text((right + 16.0, bottom + 16.0), Anchor::Start, "", x_label);
}

/// A number on an axis: `250`, `100k`, `2.5M`.
fn short(value: f64) -> String {
    let (value, unit) = match value {
        ..1e3 => (value, ""),
        ..1e6 => (value / 1e3, "k"),
        _ => (value / 1e6, "M"),
    };
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_on_an_axis_are_short() {
        let shown = [0.0, 0.25, 250.0, 1_000.0, 1_500.0, 100_000.0, 2_500_000.0].map(short);
        assert_eq!(shown, ["0", "0.25", "250", "1k", "1.5k", "100k", "2.5M"]);
    }

    #[test]
    fn a_single_point_has_an_axis_too() {
        let line = Line {
            name: String::new(),
            points: vec![(1_000.0, 0.0)],
        };
        let frame = Frame::around(&[line], Scale::Log, HEIGHT).unwrap();
        assert!(frame.x(1_000.0).is_finite() && frame.y(0.0).is_finite());
        assert!(Frame::around(&[], Scale::Linear, HEIGHT).is_none());
    }
}
