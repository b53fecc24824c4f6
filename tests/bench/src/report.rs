//! What was measured, for people and for programs.

mod page;
mod plot;
mod row;

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};
use serde::Serialize;

pub(crate) use self::row::{Row, middle};
use crate::{bench::Bench, figure::Figure};

/// What was measured so far, in the order in which it was.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    rounds: usize,
    /// Speeds mean nothing then.
    quick: bool,
    figures: Vec<Section>,
}

/// One figure.
#[derive(Debug, Serialize)]
pub(crate) struct Section {
    name: &'static str,
    about: &'static str,
    rows: Vec<Row>,
    series: Vec<Series>,
    notes: Vec<String>,
    error: Option<String>,
}

/// How something grows: lines over one axis.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Series {
    /// What the picture shows.
    pub(crate) name: String,
    /// What grows along the bottom, with its unit.
    pub(crate) x: String,
    /// How it is laid out there.
    pub(crate) scale: Scale,
    /// What is measured, with its unit.
    pub(crate) y: String,
    /// The lines.
    pub(crate) lines: Vec<Line>,
}

/// How the bottom of a picture is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Scale {
    /// Equal steps are equally wide, from 0 on.
    Linear,
    /// Powers of ten are equally wide. Every x is above 0.
    Log,
}

/// A line of a [`Series`].
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Line {
    /// What it is of.
    pub(crate) name: String,
    /// Its points, x growing.
    pub(crate) points: Vec<(f64, f64)>,
}

impl Section {
    /// The name of its picture, beside the page.
    fn picture(&self) -> String {
        format!("{}.svg", self.name)
    }
}

impl Report {
    /// An empty one.
    pub(crate) fn new(bench: &Bench) -> Self {
        Self {
            rounds: bench.rounds(),
            quick: bench.is_quick(),
            figures: Vec::new(),
        }
    }

    /// All that comes from now on is of this figure.
    pub(crate) fn begin(&mut self, figure: &Figure) {
        self.figures.push(Section {
            name: figure.name,
            about: figure.about,
            rows: Vec::new(),
            series: Vec::new(),
            notes: Vec::new(),
            error: None,
        });
    }

    /// Adds a line of the table, and shows it.
    pub(crate) fn row(&mut self, row: Row) {
        eprintln!("    {}", row.brief());
        if let Some(section) = self.section() {
            section.rows.push(row);
        }
    }

    /// Adds a picture of how something grows.
    pub(crate) fn series(&mut self, series: Series) {
        if let Some(section) = self.section() {
            section.series.push(series);
        }
    }

    /// Adds a word for the reader of the table, such as why a line is missing.
    pub(crate) fn note(&mut self, text: impl Into<String>) {
        let text = text.into();
        eprintln!("    {text}");
        if let Some(section) = self.section() {
            section.notes.push(text);
        }
    }

    /// The present figure could not be measured, or not to its end.
    pub(crate) fn failed(&mut self, error: &anyhow::Error) {
        eprintln!("    failed: {error:#}");
        if let Some(section) = self.section() {
            section.error = Some(format!("{error:#}"));
        }
    }

    fn section(&mut self) -> Option<&mut Section> {
        self.figures.last_mut()
    }

    /// Whether every figure was measured, every number is one, and no target was missed; quickly measured ones miss none.
    pub(crate) fn is_good(&self) -> bool {
        let is_good = |row: &Row| row.is_sound() && (self.quick || row.is_met() != Some(false));
        self.figures
            .iter()
            .all(|section| section.error.is_none() && section.rows.iter().all(is_good))
    }

    /// Writes everything into a fresh directory below `out`, and returns its path.
    pub(crate) fn write(&self, out: &Path) -> Result<PathBuf> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let directory = std::path::absolute(out.join(now.as_secs().to_string()))?;
        fs::create_dir_all(&directory).with_context(|| format!("create {}", directory.display()))?;
        let json = serde_json::to_string_pretty(self)? + "\n";
        for (name, text) in [("report.json", json), ("report.md", page::page(self))] {
            let path = directory.join(name);
            fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        }
        for section in &self.figures {
            if let Some(picture) = plot::plot(section, self.quick) {
                let path = directory.join(section.picture());
                fs::write(&path, picture).with_context(|| format!("write {}", path.display()))?;
            }
        }
        Ok(directory)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&page::table(self))
    }
}
