//! The picture of a figure: bars of each pair, and below them the lines of each series.
//!
//! It has no background of its own, and colours that can be told apart on white and on black.

mod bars;
mod lines;

use std::fmt::Write as _;

use harness::svg::escaped;

use super::Section;

/// All in the picture's own units, which are about a screen's pixels.
const WIDTH: f64 = 1_000.0;

/// Of distjob, and of the first line.
const BLUE: &str = "#3d8bd4";
/// Of counterparts.
const GREY: &str = "#8a94a0";
/// Of a target that was met.
const GREEN: &str = "#4c956c";
/// Of one that was missed.
const RED: &str = "#d1495b";

const STYLE: &str = "<style>text{font:12px sans-serif;fill:#5c6670}.title{font-weight:bold}.grid{stroke:#8a94a0;\
                     stroke-opacity:.3}.curve{fill:none;stroke-width:2;stroke-linejoin:round}.mark{stroke-dasharray:4 3}\
                     @media(prefers-color-scheme:dark){text{fill:#a9b4c0}}</style>\n";

/// Parts of a picture, one below the other.
#[derive(Debug, Default)]
struct Canvas {
    picture: String,
    height: f64,
}

/// Which end of a text stands at its place.
#[derive(Debug, Clone, Copy)]
enum Anchor {
    Start,
    Middle,
    End,
}

impl Canvas {
    /// A text in a colour of its own, or in the common one where `colour` is empty.
    fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, colour: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let fill = if colour.is_empty() {
            String::new()
        } else {
            format!(" style=\"fill:{colour}\"")
        };
        self.add(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\"{fill}>{}</text>",
            escaped(text)
        ));
    }

    fn title(&mut self, text: &str) {
        self.height += 26.0;
        let y = self.height - 8.0;
        self.add(format_args!(
            "<text class=\"title\" x=\"10\" y=\"{y:.1}\">{}</text>",
            escaped(text)
        ));
    }

    fn add(&mut self, part: std::fmt::Arguments<'_>) {
        let _ = writeln!(self.picture, "{part}");
    }
}

/// The picture of a figure, as SVG. None when it has nothing to show.
pub(super) fn plot(section: &Section, quick: bool) -> Option<String> {
    if section.rows.is_empty() && section.series.is_empty() {
        return None;
    }
    let mut canvas = Canvas::default();
    canvas.title(&format!("{}: {}", section.name, section.about));
    for row in &section.rows {
        bars::bars(&mut canvas, row, quick);
    }
    for series in &section.series {
        lines::lines(&mut canvas, series);
    }
    let height = canvas.height + 12.0;
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" \
         height=\"{height:.0}\" role=\"img\" aria-label=\"{}\">\n{STYLE}{}</svg>\n",
        escaped(section.about),
        canvas.picture
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Line, Row, Scale, Series};

    fn section() -> Section {
        let lines = vec![
            Line {
                name: "executor".to_owned(),
                points: vec![(1_000.0, 10.0), (100_000.0, 12.0)],
            },
            Line {
                name: "watcher <1>".to_owned(),
                points: vec![(1_000.0, 3.0), (100_000.0, 40.0)],
            },
        ];
        Section {
            name: "example",
            about: "an example",
            rows: vec![
                Row::pairs("a & b", "tasks/s", "floor", &[(3.0, 2.0)]).at_least(1.4),
                Row::new("alone", "ms", [3.0]),
            ],
            series: vec![Series {
                name: "memory".to_owned(),
                x: "jobs".to_owned(),
                scale: Scale::Log,
                y: "MiB".to_owned(),
                lines,
            }],
            notes: Vec::new(),
            error: None,
        }
    }

    #[test]
    fn a_picture_shows_every_row_and_line_and_has_no_raw_text() {
        let picture = plot(&section(), false).unwrap();
        for shown in [
            "a &amp; b",
            "floor",
            "1.50",
            "alone",
            "memory",
            "watcher &lt;1&gt;",
            "100k",
        ] {
            assert!(picture.contains(shown), "{shown} is missing in\n{picture}");
        }
        assert!(!picture.contains("NaN"), "{picture}");
        assert_eq!(picture.matches("<polyline").count(), 2);
    }

    #[test]
    fn a_target_is_not_judged_when_speeds_mean_nothing() {
        assert!(plot(&section(), false).unwrap().contains(GREEN));
        assert!(!plot(&section(), true).unwrap().contains(GREEN));
    }

    #[test]
    fn a_figure_without_a_number_has_no_picture() {
        let mut section = section();
        section.rows.clear();
        section.series.clear();
        assert_eq!(plot(&section, false), None);
    }
}
