//! Reports on stdout: text for people, or one JSON object.

use std::{
    fmt::{Display, Write as _},
    io::{self, ErrorKind, Write as _, stdout},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use humantime_serde::re::humantime;
use serde::Serialize;

/// How reports are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// As JSON.
    pub(crate) json: bool,
}

impl Output {
    /// Writes a report. A reader that has seen enough and went away is no error.
    pub(crate) fn report(self, report: &(impl Serialize + Display)) -> io::Result<()> {
        let text = if self.json {
            serde_json::to_string_pretty(report).map_err(io::Error::other)? + "\n"
        } else {
            report.to_string()
        };
        let mut stdout = stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }
}

/// Rows below their headings, each column as wide as its widest cell. Nothing when there are no rows.
pub(crate) fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let headings = headings.map(str::to_owned);
    let all = || std::iter::once(&headings).chain(rows);
    let width = |column: usize| all().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for row in all() {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            let _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// How long ago, or how long, in its two largest units.
pub(crate) fn span(duration: Duration) -> String {
    let text = humantime::format_duration(Duration::from_secs(duration.as_secs())).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// How long before now a moment, in milliseconds since 1970, was.
pub(crate) fn since(moment_ms: u64) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(Duration::from_millis(moment_ms))
}

/// `1 job`, `2 jobs`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a", "17"], ["longest", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(
            table(["ID", "TASKS"], &rows),
            "ID       TASKS\na        17\nlongest\n"
        );
        assert_eq!(table(["ID"], &[]), "");
    }

    #[test]
    fn spans_are_short() {
        assert_eq!(span(Duration::from_millis(400)), "0s");
        assert_eq!(span(Duration::from_secs(3 * 86_400 + 7_201)), "3days 2h");
    }

    #[test]
    fn one_is_no_plural() {
        assert_eq!(counted(1, "job"), "1 job");
        assert_eq!(counted(0, "job"), "0 jobs");
    }
}
