//! Whether the handler of a queue has what it needs, in the configuration and on this machine.

use std::{ffi::OsStr, io};

use distjob_runtime::config::{Placeholder as _, Problems};

use super::Report;
use crate::{
    config::{Argument, HandlerKind, Placeholder, QueueConfig},
    handler::{Bounds, http},
};

/// Reports what the handler of a queue that is served lacks.
pub(in crate::config) fn check_handler(table: &str, queue: &QueueConfig, problems: &mut Problems<'_>) {
    let report = &mut Report { table, problems };
    match queue.handler {
        HandlerKind::Prime => {}
        HandlerKind::Command => {
            let example = "[\"/usr/local/bin/thumbnail\", \"--job={job}\", \"-\"]";
            check_program(report, queue, "command", &queue.command.argv, example);
            check_places(report, queue);
        }
        HandlerKind::Worker => {
            let example = "[\"python3\", \"/opt/workers/thumbnail.py\"]";
            check_program(report, queue, "worker", &queue.worker.argv, example);
            let other = used(&queue.worker.argv).find(|place| *place != Placeholder::Queue);
            if let Some(place) = other {
                let word = place.as_str();
                report.bad(
                    "worker.argv",
                    format_args!(
                        "has {{{word}}}, but a worker gets many tasks: only {{queue}} is known \
                     when it starts"
                    ),
                );
            }
        }
        HandlerKind::Http if queue.http.url.is_empty() => {
            report.lacks("http", "http.url", ", such as \"https://thumbs.internal/make\"");
        }
        HandlerKind::Http => {
            for (key, message) in http::problems(&queue.http) {
                report.bad(key, message);
            }
        }
    }
}

/// The placeholders of some arguments.
fn used(argv: &[Argument]) -> impl Iterator<Item = Placeholder> {
    let has = |place: &Placeholder| argv.iter().any(|argument| argument.has(*place));
    Placeholder::ALL.iter().copied().filter(has)
}

/// Whether a program can be told all that its arguments ask for.
fn check_places(report: &mut Report<'_, '_>, queue: &QueueConfig) {
    if queue.command.tasks_per_process < 2 {
        return;
    }
    let of_several = [Placeholder::Job, Placeholder::Queue];
    if let Some(place) = used(&queue.command.argv).find(|place| !of_several.contains(place)) {
        let word = place.as_str();
        report.bad(
            "command.argv",
            format_args!(
                "has {{{word}}}, which one task has and {} at once have not: set \
             command.tasks_per_process to 1, or take it out",
                queue.command.tasks_per_process
            ),
        );
    }
}

/// Whether this machine has the program, and all that it is to run with.
fn check_program(
    report: &mut Report<'_, '_>,
    queue: &QueueConfig,
    handler: &str,
    argv: &[Argument],
    example: &str,
) {
    let key = format!("{handler}.argv");
    let Some(program) = argv.first() else {
        let what = format_args!(": the program and its arguments, such as {example}");
        return report.lacks(handler, &key, what);
    };
    let bounds = &queue.bounds;
    if bounds.directory.is_absolute() && !bounds.directory.is_dir() {
        let shown = bounds.directory.display();
        report.bad(
            "bounds.directory",
            format_args!("is {shown}, where there is no directory: create it, or name another"),
        );
    }
    let is_root = rustix::process::geteuid().is_root();
    report.require(
        "bounds.user",
        bounds.user.is_empty() || is_root,
        "needs an executor that runs as root: only \
         root may become another user",
    );
    let bounds = match Bounds::new(bounds, &queue.variables) {
        Ok(bounds) => bounds,
        Err(error) => return report.bad("bounds.user", format_args!("cannot be used: {error}")),
    };
    let Some(program) = program.literal().filter(|program| !program.is_empty()) else {
        return report.bad(
            &key,
            "must begin with the name of a program, without placeholders in it",
        );
    };
    if let Err(error) = bounds.find(OsStr::new(program)) {
        let where_ = if program.contains('/') {
            ""
        } else {
            " in the PATH that it would have"
        };
        report.bad(
            &key,
            match error.kind() {
                io::ErrorKind::NotFound => format!(
                    "names the program {program}, which is not there{where_}: install it, or give its \
                 full path"
                ),
                io::ErrorKind::PermissionDenied => format!(
                    "names the program {program}, which cannot be executed{where_}: it needs \
                 the right to (chmod +x)"
                ),
                _ => format!("names the program {program}, which cannot be looked at: {error}"),
            },
        );
    }
}
