//! The page itself, in Markdown.

use std::fmt::Write as _;

use super::{
    PLOT, clock, duration,
    faults::{Fault, by_kind, faults},
    restarts::restarts,
    spread::Spread,
};
use crate::{
    check::Verdict,
    history::{Event, History, Role},
};

/// How many violations are told in full.
const TOLD: usize = 50;

/// The page about a run.
#[must_use]
pub fn page(history: &History, verdict: &Verdict) -> String {
    let mut page = String::new();
    head(&mut page, history, verdict);
    violations(&mut page, verdict);
    let _ = writeln!(page, "![Throughput over time, with the faults below]({PLOT})\n");
    figures(&mut page, history, verdict);
    recovery(&mut page, history);
    by_kinds(&mut page, &faults(history));
    store(&mut page, verdict);
    answers(&mut page, verdict);
    slowest(&mut page, verdict);
    processes(&mut page, history);
    page
}

fn head(page: &mut String, history: &History, verdict: &Verdict) {
    let said = match verdict.violations.len() {
        0 => "**Clean**: no promise was broken.".to_owned(),
        1 => "**NOT CLEAN**: 1 violation.".to_owned(),
        count => format!("**NOT CLEAN**: {count} violations."),
    };
    let Some(parameters) = history.parameters() else {
        let _ = writeln!(page, "# A run that never began\n\n{said}\n");
        return;
    };
    let _ = writeln!(
        page,
        "# Faults for {} min, seed {}\n\n{said} Repeat with\n\n```sh\n{}\n```\n",
        parameters.minutes, parameters.seed, parameters.command
    );
    let rows = [
        ("Redis", parameters.redis.to_string()),
        ("processes kept apart by", parameters.network.to_string()),
        ("session timeout", duration(parameters.session_timeout_ms)),
        (
            "a task is given up after",
            format!("{} deaths", parameters.poison_after),
        ),
        ("daemons at the beginning", parameters.daemons.join(", ")),
        ("kinds of faults", parameters.nemeses.join(", ")),
        ("took", duration(history.end_ms())),
    ];
    table(page, ["", ""], rows.map(|(name, value)| [name.to_owned(), value]));
}

fn violations(page: &mut String, verdict: &Verdict) {
    if verdict.is_clean() {
        return;
    }
    page.push_str("## Violations\n\n");
    for violation in verdict.violations.iter().take(TOLD) {
        let _ = writeln!(
            page,
            "- **{}**: `{}`: {}",
            violation.promise, violation.subject, violation.why
        );
    }
    if let Some(more) = verdict.violations.len().checked_sub(TOLD + 1) {
        let _ = writeln!(page, "- and {} more", more + 1);
    }
    page.push('\n');
}

fn figures(page: &mut String, history: &History, verdict: &Verdict) {
    let figures = &verdict.figures;
    let time_ms = working_ms(history);
    let rows = [
        ("jobs submitted", figures.jobs.to_string()),
        ("jobs delivered", figures.delivered_jobs.to_string()),
        ("tasks delivered", figures.delivered_tasks.to_string()),
        (
            "tasks delivered a second",
            per_second(figures.delivered_tasks, time_ms),
        ),
        ("executions of tasks", figures.executions.to_string()),
        (
            "executions beyond the first of a task",
            format!(
                "{} ({})",
                figures.duplicates,
                percent(figures.duplicates, figures.executions)
            ),
        ),
        (
            "executions of tasks that end their executor",
            figures.deadly_executions.to_string(),
        ),
        (
            "tasks given up",
            format!(
                "{}, of which {} would have harmed nobody",
                figures.given_up, figures.given_up_harmless
            ),
        ),
        ("jobs lost", figures.lost.len().to_string()),
        ("from the last fault to the end of the last job", settled(history)),
    ];
    page.push_str("## Figures\n\n");
    table(page, ["", ""], rows.map(|(name, value)| [name.to_owned(), value]));
}

/// For how long jobs were worked on: until the last had ended, in milliseconds.
fn working_ms(history: &History) -> u64 {
    let settled = history.events().find_map(|(at_ms, event)| {
        matches!(event, Event::Settled { .. } | Event::Unsettled { .. }).then_some(at_ms)
    });
    settled.unwrap_or_else(|| history.end_ms())
}

fn settled(history: &History) -> String {
    let settled = history.events().find_map(|(_, event)| match event {
        Event::Settled { after_ms } => Some(duration(*after_ms)),
        Event::Unsettled { left } => Some(format!("never: {} jobs were left", left.len())),
        _ => None,
    });
    settled.unwrap_or_else(|| "not seen".to_owned())
}

fn recovery(page: &mut String, history: &History) {
    page.push_str("## Recovery\n\n");
    let target = history
        .parameters()
        .map_or(0, |parameters| parameters.session_timeout_ms + 1_000);
    let row = |role: Role, what: &str| {
        let times = history.events().filter_map(|(_, event)| match event {
            Event::Recovered {
                role: of,
                from_ms,
                to_ms,
                ..
            } if *of == role => Some(to_ms.saturating_sub(*from_ms)),
            _ => None,
        });
        let times: Vec<u64> = times.collect();
        let late = times.iter().filter(|&&time| time > target).count();
        let figures = match Spread::of(times) {
            None => [const { String::new() }; 3],
            Some(spread) => [spread.median, spread.p99, spread.max].map(duration),
        };
        let [median, p99, max] = figures;
        let count = history_count(history, role);
        [
            what.to_owned(),
            count.to_string(),
            median,
            p99,
            max,
            late.to_string(),
        ]
    };
    let rows = [
        row(
            Role::Executor,
            "SIGKILL of an executor → its ranges run elsewhere",
        ),
        row(
            Role::Watcher,
            "SIGKILL of a watcher → its job delivered by another",
        ),
    ];
    let late = format!("beyond {}", duration(target));
    table(page, ["", "times", "median", "p99", "max", late.as_str()], rows);
    let _ = writeln!(
        page,
        "The target is the session timeout and a second: {}. Where another fault was at work at the same time, it may take \
         longer.\n",
        duration(target)
    );
}

fn history_count(history: &History, role: Role) -> usize {
    let is_it = |event: &Event| matches!(event, Event::Recovered { role: of, .. } if *of == role);
    history.events().filter(|(_, event)| is_it(event)).count()
}

fn by_kinds(page: &mut String, faults: &[Fault<'_>]) {
    page.push_str("## Faults\n\n");
    if faults.is_empty() {
        page.push_str("None.\n\n");
        return;
    }
    let mut kinds = by_kind(faults);
    kinds.sort_by_key(|(kind, of_kind)| (std::cmp::Reverse(of_kind.len()), *kind));
    let rows = kinds.into_iter().map(|(kind, of_kind)| {
        let took = of_kind.iter().map(Fault::took_ms);
        [
            kind.to_owned(),
            of_kind.len().to_string(),
            duration(took.clone().sum()),
            duration(took.max().unwrap_or(0)),
        ]
    });
    table(page, ["kind", "times", "in all", "longest"], rows);
}

fn store(page: &mut String, verdict: &Verdict) {
    let figures = &verdict.figures;
    if figures.losses.is_empty() {
        return;
    }
    page.push_str("## What Redis lost\n\n");
    let rows = figures
        .losses
        .iter()
        .map(|(at_ms, why)| [clock(*at_ms), why.clone()]);
    table(page, ["at", "what"], rows);
    let _ = match figures.lost.as_slice() {
        [] => writeln!(page, "No job was lost by it.\n"),
        lost => writeln!(page, "Jobs that became `lost`: {}.\n", lost.join(", ")),
    };
}

fn answers(page: &mut String, verdict: &Verdict) {
    let figures = &verdict.figures;
    page.push_str("## Submissions\n\n");
    let rows = figures
        .answers
        .iter()
        .map(|(told, count)| [(*told).to_owned(), count.to_string()]);
    table(page, ["told", "times"], rows);
    for (name, fates) in [
        ("Jobs of which nobody was told anything certain", &figures.unclear),
        ("Jobs that an operator was asked to cancel", &figures.cancelled),
    ] {
        if !fates.is_empty() {
            let _ = writeln!(page, "{name}, by what became of them:\n");
            let rows = fates
                .iter()
                .map(|(fate, count)| [(*fate).to_owned(), count.to_string()]);
            table(page, ["became", "jobs"], rows);
        }
    }
}

fn slowest(page: &mut String, verdict: &Verdict) {
    if verdict.figures.slowest.is_empty() {
        return;
    }
    page.push_str("## Slowest jobs\n\n");
    let rows = verdict.figures.slowest.iter().map(|slow| {
        [
            slow.id.clone(),
            slow.tasks.to_string(),
            clock(slow.from_ms),
            duration(slow.took_ms),
        ]
    });
    table(page, ["job", "tasks", "submitted at", "to its file"], rows);
}

fn processes(page: &mut String, history: &History) {
    page.push_str("## Processes\n\n");
    let rows = restarts(history).into_iter().map(|(role, count)| {
        [
            role.to_string(),
            count.started.to_string(),
            count.left.to_string(),
            count.killed.to_string(),
            count.aborted.to_string(),
            count.failed.to_string(),
        ]
    });
    table(
        page,
        [
            "role",
            "started",
            "ended with 0",
            "by SIGKILL",
            "by a task",
            "otherwise",
        ],
        rows,
    );
}

fn table<const N: usize>(page: &mut String, head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) {
    let _ = writeln!(page, "| {} |", head.join(" | "));
    let _ = writeln!(page, "|{}", "---|".repeat(N));
    for row in rows {
        // A bar would end the cell, a line break the row.
        let cells = row.map(|cell| cell.replace('|', "\\|").replace('\n', " "));
        let _ = writeln!(page, "| {} |", cells.join(" | "));
    }
    page.push('\n');
}

fn per_second(count: u64, time_ms: u64) -> String {
    let tenths = (count * 10_000).checked_div(time_ms).unwrap_or(0);
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn percent(part: u64, whole: u64) -> String {
    let hundredths = (part * 10_000).checked_div(whole).unwrap_or(0);
    format!("{}.{:02} %", hundredths / 100, hundredths % 100)
}
