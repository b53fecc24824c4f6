//! What makes no sense in what is said of a queue.
//!
//! Values alone are looked at in the template, too, which may be in nobody's use. Whether they go together, and whether
//! this machine has what they name, is a question of each queue that is served: a mistake is reported of the queue that
//! has it, at the place where it was written.

mod handler;

use std::{collections::BTreeMap, fmt::Display, ops::RangeInclusive, time::Duration};

use distjob_runtime::config::Problems;

pub(super) use self::handler::check_handler;
use super::{BoundsConfig, QueueConfig};

/// Into less address space than this hardly a program can be loaded.
const MEMORY_LEAST: u64 = 4 << 20;

/// Fewer files than this leave a program nothing beside its standard streams and the libraries that it loads.
const FILES_LEAST: u64 = 8;

/// Values are committed, read and written whole.
const OUTPUT_MOST: u64 = 64 << 20;

/// Ends of stderr go into outcomes.
const STDERR_MOST: u64 = 1 << 20;

/// More tasks at once than this are a slip, as more slots are.
const AT_ONCE_MOST: u32 = 1024;

/// Reports problems of one table of a queue's keys.
struct Report<'r, 'p> {
    /// `queue` or `queues.<name>`.
    table: &'r str,
    problems: &'r mut Problems<'p>,
}

impl Report<'_, '_> {
    fn bad(&mut self, key: &str, message: impl Display) {
        let key = format!("{}.{key}", self.table);
        self.problems.report(&key, message);
    }

    fn require(&mut self, key: &str, holds: bool, message: impl Display) {
        if !holds {
            self.bad(key, message);
        }
    }

    /// Which of two keys that contradict each other to name: one that somebody has set.
    fn blamed<'k>(&self, first: &'k str, second: &'k str) -> &'k str {
        let is_set = |key: &str| self.problems.is_set(&format!("{}.{key}", self.table));
        if is_set(second) && !is_set(first) {
            second
        } else {
            first
        }
    }

    /// A status is on two lists that contradict each other.
    fn both(&mut self, first: &str, second: &str, status: impl Display) {
        let blamed = self.blamed(first, second);
        let other = if blamed == first { second } else { first };
        self.bad(blamed, format_args!("names {status}, which {other} names, too"));
    }

    /// Reports that the handler needs a key which is not there.
    fn lacks(&mut self, handler: &str, key: &str, what: impl Display) {
        let key = format!("{}.{key}", self.table);
        if !self.problems.is_refused(&key) {
            self.bad(
                "handler",
                format_args!("is \"{handler}\", which needs {key}{what}"),
            );
        }
    }

    fn within<T: PartialOrd + Display + Copy>(&mut self, key: &str, value: T, range: &RangeInclusive<T>) {
        let (least, most) = (range.start(), range.end());
        self.require(
            key,
            range.contains(&value),
            format_args!("must be from {least} to {most}"),
        );
    }
}

/// Reports what makes no sense whoever uses it.
pub(super) fn check_values(table: &str, queue: &QueueConfig, problems: &mut Problems<'_>) {
    let report = &mut Report { table, problems };
    report.within("weight", queue.weight, &(1..=1000));
    report.within("priority", queue.priority, &(-100..=100));
    report.within("concurrency", queue.concurrency, &(0..=AT_ONCE_MOST));
    let once = queue.attempts > 0;
    report.require(
        "attempts",
        once,
        "must be at least 1, which is one attempt and no other",
    );
    if queue.retry_initial > queue.retry_max {
        match report.blamed("retry_max", "retry_initial") {
            key @ "retry_max" => report.bad(key, "must be at least retry_initial"),
            key => report.bad(key, "must be at most retry_max"),
        }
    }
    check_bounds(report, &queue.bounds);
    check_variables(report, &queue.variables);
    let several = queue.command.tasks_per_process > 0;
    report.require(
        "command.tasks_per_process",
        several,
        "must be at least 1, which is a process for each task",
    );
    let some = !queue.command.success.is_empty();
    report.require(
        "command.success",
        some,
        "must name a status: with none, no task would ever succeed",
    );
    let both = queue
        .command
        .success
        .iter()
        .find(|status| queue.command.final_statuses.contains(status));
    if let Some(status) = both {
        report.both("command.success", "command.final", status);
    }
    report.within("worker.in_flight", queue.worker.in_flight, &(1..=AT_ONCE_MOST));
    let some = !queue.http.expected.is_empty();
    report.require(
        "http.expected",
        some,
        "must name a status: with none, no task would ever succeed",
    );
    if let Some(status) = queue.http.expected.common(&queue.http.final_statuses) {
        report.both("http.expected", "http.final", status);
    }
    let waits = !queue.http.connect_timeout.is_zero();
    report.require("http.connect_timeout", waits, "must be more than nothing");
}

fn check_bounds(report: &mut Report<'_, '_>, bounds: &BoundsConfig) {
    let soon = bounds.kill_after <= Duration::from_secs(3600);
    report.require("bounds.kill_after", soon, "must be at most 1h");
    let fits = (1..=OUTPUT_MOST).contains(&bounds.output_max);
    report.require("bounds.output_max", fits, "must be from 1B to 64MiB");
    report.require(
        "bounds.stderr_max",
        bounds.stderr_max <= STDERR_MOST,
        "must be at most 1MiB",
    );
    report.require(
        "bounds.memory_max",
        bounds.memory_max == 0 || bounds.memory_max >= MEMORY_LEAST,
        "must be 0B, for no bound, or at least 4MiB: in less hardly a program starts; many need 100MiB \
         of addresses, and some that reserve more than they use need several GiB",
    );
    report.require(
        "bounds.files_max",
        bounds.files_max == 0 || bounds.files_max >= FILES_LEAST,
        "must be 0, for no bound, or at least 8: stdin, stdout, stderr, and a few to load libraries",
    );
    for pattern in &bounds.environment {
        let name = pattern.strip_suffix('*').unwrap_or(pattern);
        let is_name = !pattern.is_empty() && !name.contains(['*', '=', '\0']);
        let message = format_args!(
            "names \"{pattern}\", which is no variable such as \"LANG\", and no beginning such as \"LC_*\""
        );
        report.require("bounds.environment", is_name, message);
    }
    let anywhere = bounds.directory.as_os_str().is_empty() || bounds.directory.is_absolute();
    report.require("bounds.directory", anywhere, "must be an absolute path, or empty");
}

fn check_variables(report: &mut Report<'_, '_>, variables: &BTreeMap<String, String>) {
    for (name, value) in variables {
        let is_name = !name.is_empty() && !name.contains(['=', '\0']);
        report.require(
            "variables",
            is_name,
            format_args!("sets \"{name}\", which is no name of a variable"),
        );
        report.require(
            "variables",
            !value.contains('\0'),
            format_args!("sets {name} to what has a zero byte in it"),
        );
    }
}

#[cfg(test)]
mod tests;
