//! How the tasks of a job and their outcomes are written.
//!
//! | format | a task is | ending |
//! |---|---|---|
//! | `jsonl` | an object on a line, see [`jsonl`] | `.jsonl` |
//! | `csv` | a row below a header, see [`csv`] | `.csv` |
//! | `raw` | its value and a newline, when it has one; errors are left out | `.txt` |

pub mod csv;
pub mod jsonl;

use distjob_core::{Outcome, watcher::Row};
use serde::{Deserialize, Serialize};

/// How tasks and outcomes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One JSON object a line.
    Jsonl,
    /// Comma-separated values, as RFC 4180 has them.
    Csv,
    /// The values alone.
    Raw,
}

impl Format {
    /// Appends what stands before the first row.
    pub(crate) fn begin(self, buffer: &mut Vec<u8>) {
        match self {
            Self::Csv => csv::push_header(buffer),
            Self::Jsonl | Self::Raw => {}
        }
    }

    /// Appends a row.
    pub(crate) fn push(self, buffer: &mut Vec<u8>, row: &Row<'_>) {
        match (self, row.outcome) {
            (Self::Jsonl, _) => jsonl::push_line(buffer, row),
            (Self::Csv, _) => csv::push_row(buffer, row),
            (Self::Raw, Outcome::Ok(value)) => {
                buffer.extend_from_slice(value);
                buffer.push(b'\n');
            }
            (Self::Raw, Outcome::Err(_)) => {}
        }
    }
}
