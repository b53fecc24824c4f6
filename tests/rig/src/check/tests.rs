//! A right run passes; each way of doctoring it is found, and nothing else is.

mod ends;
mod flows;
mod jobs;
mod run;

use super::{Promise, Verdict};
use run::Run;

/// The promises that a verdict calls broken, each once.
fn broken(verdict: &Verdict) -> Vec<Promise> {
    let mut promises: Vec<_> = verdict
        .violations
        .iter()
        .map(|violation| violation.promise)
        .collect();
    promises.sort();
    promises.dedup();
    promises
}

/// Asserts that a run that was doctored in this way breaks this promise about this subject, and nothing else.
#[track_caller]
fn breaks(promise: Promise, subject: &str, doctor: impl FnOnce(&mut Run)) {
    let mut run = Run::right();
    doctor(&mut run);
    let verdict = run.judge();
    assert_eq!(broken(&verdict), [promise], "{:#?}", verdict.violations);
    let is_named = verdict
        .violations
        .iter()
        .all(|violation| violation.subject == subject && !violation.why.is_empty());
    assert!(is_named, "{:#?}", verdict.violations);
}

/// Asserts that a run that was changed in this way is still right.
#[track_caller]
fn passes(change: impl FnOnce(&mut Run)) -> Verdict {
    let mut run = Run::right();
    change(&mut run);
    let verdict = run.judge();
    assert!(verdict.is_clean(), "{:#?}", verdict.violations);
    verdict
}

#[test]
fn a_right_run_is_clean_and_counted() {
    let verdict = passes(|_| {});
    let figures = verdict.figures;
    assert_eq!((figures.jobs, figures.delivered_jobs), (7, 5));
    assert_eq!(figures.answers["acknowledged"], 4);
    assert_eq!(figures.unclear["never came to be"], 1);
    assert_eq!((figures.duplicates, figures.deadly_executions), (0, 5));
    assert_eq!((figures.given_up, figures.given_up_harmless), (1, 0));
    assert_eq!(figures.slowest.len(), 5);
}
