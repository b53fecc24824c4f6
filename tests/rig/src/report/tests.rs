//! A made-up run, on the page and in the picture.

use super::{page, plot};
use crate::{
    check::{Figures, Promise, Verdict, Violation},
    history::{Entry, Event, Exit, History, Network, Parameters, RedisKind, Role, Sample},
};

/// A run of two minutes with some faults.
fn history() -> History {
    let mut history = History::default();
    let mut push = |at_ms, event| history.entries.push(Entry { at_ms, event });
    push(0, Event::Began(parameters()));
    push(0, started("executor-1", Role::Executor));
    let (mut executed, mut delivered) = (0, 0);
    for second in 0..140_u64 {
        let at_ms = 1_000 * second;
        // A stretch of each twenty seconds in which nothing goes on.
        let is_busy = second % 20 > 4 && second < 130;
        executed += if is_busy { 180 + 37 * (second % 7) } else { 3 };
        delivered += if is_busy { 2 + second % 3 } else { 0 };
        match second % 20 {
            0 if second < 120 => push(at_ms, fault(second)),
            5 if second < 120 => push(at_ms, Event::FaultEnded { number: second - 5 }),
            _ => {}
        }
        match second {
            41 => push(
                at_ms,
                Event::StoreLost {
                    why: "its tail <was> cut".to_owned(),
                },
            ),
            60 => push(at_ms, exited("executor-1", Exit::Signal(9))),
            61 => push(at_ms, started("executor-1", Role::Executor)),
            63 => push(at_ms, recovered(Role::Executor, 60_000, 63_400)),
            67 => push(at_ms, recovered(Role::Executor, 60_000, 67_000)),
            121 => push(at_ms, Event::FaultsOver),
            131 => push(at_ms, Event::Settled { after_ms: 10_250 }),
            _ => {}
        }
        push(
            at_ms,
            Event::Sampled(Sample {
                executed,
                delivered_jobs: delivered,
                ..Sample::default()
            }),
        );
    }
    push(140_000, Event::Ended);
    history
}

fn parameters() -> Parameters {
    Parameters {
        seed: 42,
        minutes: 2,
        nemeses: vec!["kill-executor".to_owned(), "cut-tail".to_owned()],
        redis: RedisKind::Aof,
        network: Network::Namespaces,
        session_timeout_ms: 3_000,
        settle_bound_ms: 60_000,
        poison_after: 5,
        root: "/distjob".to_owned(),
        prefix: "distjob:".to_owned(),
        daemons: vec!["executor-1".to_owned()],
        command: "cargo xtask faults --minutes 2 --seed 42".to_owned(),
    }
}

fn fault(second: u64) -> Event {
    let kinds = ["kill-executor", "cut-tail", "partition-zookeeper"];
    let turn = usize::try_from(second / 20).unwrap();
    Event::FaultBegan {
        number: second,
        kind: kinds[turn % kinds.len()].to_owned(),
        targets: vec!["executor-1".to_owned()],
        detail: "a & b".to_owned(),
    }
}

fn started(name: &str, role: Role) -> Event {
    Event::ProcessStarted {
        name: name.to_owned(),
        role,
        pid: 1,
        incarnation: 0,
    }
}

fn exited(name: &str, exit: Exit) -> Event {
    Event::ProcessExited {
        name: name.to_owned(),
        exit,
    }
}

fn recovered(role: Role, from_ms: u64, to_ms: u64) -> Event {
    Event::Recovered {
        role,
        process: "executor-1".to_owned(),
        from_ms,
        to_ms,
    }
}

fn verdict() -> Verdict {
    Verdict {
        violations: Vec::new(),
        figures: Figures {
            jobs: 12,
            delivered_jobs: 11,
            delivered_tasks: 2_620,
            executions: 3_000,
            duplicates: 30,
            lost: vec!["mixed-000003".to_owned()],
            losses: vec![(41_000, "its tail was cut".to_owned())],
            ..Figures::default()
        },
    }
}

#[track_caller]
fn has(page: &str, line: &str) {
    assert!(page.lines().any(|found| found == line), "no {line:?} in\n{page}");
}

#[test]
fn the_page_tells_how_to_repeat_the_run_and_what_came_of_it() {
    let page = page(&history(), &verdict());
    has(&page, "cargo xtask faults --minutes 2 --seed 42");
    has(&page, "**Clean**: no promise was broken. Repeat with");
    has(&page, "| tasks delivered a second | 20.0 |");
    has(&page, "| executions beyond the first of a task | 30 (1.00 %) |");
    has(
        &page,
        "| from the last fault to the end of the last job | 10.2 s |",
    );
    has(&page, "| kill-executor | 2 | 10.0 s | 5.0 s |");
    has(
        &page,
        "| SIGKILL of an executor → its ranges run elsewhere | 2 | 3.4 s | 7.0 s | 7.0 s | 1 |",
    );
    has(&page, "| 0:41 | its tail was cut |");
    has(&page, "Jobs that became `lost`: mixed-000003.");
    has(&page, "| executor | 2 | 0 | 1 | 0 | 0 |");
}

#[test]
fn the_page_names_each_violation() {
    let mut verdict = verdict();
    verdict.violations.push(Violation {
        promise: Promise::Delivered,
        subject: "mixed-000001".to_owned(),
        why: "acknowledged, but never created".to_owned(),
    });
    let page = page(&history(), &verdict);
    has(&page, "**NOT CLEAN**: 1 violation. Repeat with");
    has(
        &page,
        "- **delivered or accounted for**: `mixed-000001`: acknowledged, but never created",
    );
}

#[test]
fn a_run_in_which_nothing_happened_has_a_page_and_a_picture() {
    let (history, verdict) = (History::default(), Verdict::default());
    assert!(page(&history, &verdict).starts_with("# A run that never began\n"));
    assert!(plot(&history).ends_with("</svg>\n"));
}

#[test]
fn the_picture_has_a_bar_for_each_fault_and_a_line_for_each_moment_that_matters() {
    let picture = plot(&history());
    assert_eq!(picture.matches("<rect ").count(), 6);
    assert_eq!(picture.matches("<polyline ").count(), 2);
    assert_eq!(picture.matches("class=\"mark\"").count(), 2);
    assert!(picture.contains(">partition-zookeeper</text>"));
    assert!(picture.contains("its tail &lt;was&gt; cut"), "texts are escaped");
    assert!(!picture.contains("NaN") && !picture.contains("inf"), "{picture}");
}

#[test]
fn page_and_picture_are_written_side_by_side() {
    let directory = tempfile::tempdir().unwrap();
    super::write(directory.path(), &history(), &verdict()).unwrap();
    let page = std::fs::read_to_string(directory.path().join(super::PAGE)).unwrap();
    assert!(page.contains("](plot.svg)"));
    assert!(directory.path().join(super::PLOT).is_file());
}
