//! What became of an input, in one line of JSON.

use std::{
    io::{Write as _, stdout},
    time::Duration,
};

use anyhow::Context as _;
use distjob_core::{JobId, QueueName};
use distjob_runtime::exit::Status;
use serde::Serialize;

use crate::commits::Report;

/// The line. Fields are only added to it.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    /// `submitted`: there are new jobs; `before`: all of them were submitted before; `nothing`: there was nothing to make a
    /// job of; `busy`: another run holds the lock; `failed`: not all of the input became jobs.
    outcome: &'static str,
    /// With which status the program ends, unless this line cannot be printed.
    status: u8,
    queue: &'a QueueName,
    /// The jobs that were created. They are safe whatever the outcome is.
    jobs: &'a [JobId],
    /// The jobs that were there before.
    before: &'a [JobId],
    /// How many tasks the created jobs have.
    tasks: u64,
    duration_ms: u128,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Prints what became of it.
///
/// # Errors
/// When that cannot be done.
pub(super) fn print(
    queue: &QueueName,
    report: &Report,
    outcome: &anyhow::Result<Status>,
    duration: Duration,
) -> anyhow::Result<()> {
    let mut line = line(queue, report, outcome, duration)?;
    line.push('\n');
    let mut stdout = stdout().lock();
    let printed = stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush());
    printed.context("failed to print what became of the input")
}

fn line(
    queue: &QueueName,
    report: &Report,
    outcome: &anyhow::Result<Status>,
    duration: Duration,
) -> serde_json::Result<String> {
    let status = outcome.as_ref().map_or_else(Status::of, |status| *status);
    serde_json::to_string(&Summary {
        outcome: match (status, report) {
            (Status::Busy, _) => "busy",
            (Status::Success, report) if !report.created.is_empty() => "submitted",
            (Status::Success, report) if !report.before.is_empty() => "before",
            (Status::Success, _) => "nothing",
            _ => "failed",
        },
        status: status as u8,
        queue,
        jobs: &report.created,
        before: &report.before,
        tasks: report.tasks,
        duration_ms: duration.as_millis(),
        error: outcome.as_ref().err().map(|error| format!("{error:#}")),
    })
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    fn told(report: &Report, outcome: &anyhow::Result<Status>) -> String {
        let queue = QueueName::default_queue();
        line(&queue, report, outcome, Duration::from_millis(7)).unwrap()
    }

    #[test]
    fn the_line_tells_what_became_of_the_input() {
        let ids = |ids: &[&str]| ids.iter().map(|id| JobId::new(*id).unwrap()).collect::<Vec<_>>();
        let report = Report {
            created: ids(&["a-0001"]),
            before: ids(&["a-0002"]),
            tasks: 3,
        };
        assert_eq!(
            told(&report, &Ok(Status::Success)),
            "{\"outcome\":\"submitted\",\"status\":0,\"queue\":\"default\",\"jobs\":[\"a-0001\"],\"before\":[\"a-0002\"],\
             \"tasks\":3,\"duration_ms\":7}"
        );
        let failed = told(&report, &Err(anyhow!("why").context("failed")));
        assert!(
            failed.starts_with("{\"outcome\":\"failed\",\"status\":1,"),
            "{failed}"
        );
        assert!(failed.ends_with(",\"error\":\"failed: why\"}"), "{failed}");
        let none = Report::default();
        let before = Report {
            created: Vec::new(),
            ..report
        };
        for (report, status, outcome) in [
            (&before, Status::Success, "before"),
            (&none, Status::Success, "nothing"),
            (&none, Status::Busy, "busy"),
        ] {
            let told = told(report, &Ok(status));
            assert!(
                told.starts_with(&format!("{{\"outcome\":\"{outcome}\"")),
                "{told}"
            );
        }
    }
}
