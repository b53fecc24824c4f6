//! Steps: run all, say how long each took, and at the end which failed and how to repeat it.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Result;

/// How a step that did not fail ended.
pub(crate) enum Outcome {
    /// All is well.
    Passed,
    /// Something outside the workspace was missing, so that nothing can be said; the reason.
    NotChecked(String),
}

/// How a whole task ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Every step passed, or could not be checked here.
    Passed,
    /// At least one step failed.
    Failed,
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Passed => Self::SUCCESS,
            Verdict::Failed => Self::FAILURE,
        }
    }
}

/// The steps of one task so far.
pub(crate) struct Steps {
    task: &'static str,
    started: Instant,
    passed: usize,
    not_checked: Vec<(&'static str, String)>,
    failed: Vec<(&'static str, String)>,
}

impl Steps {
    /// Begins a task; `task` names it in the summary.
    pub(crate) fn new(task: &'static str) -> Self {
        Self {
            task,
            started: Instant::now(),
            passed: 0,
            not_checked: Vec::new(),
            failed: Vec::new(),
        }
    }

    /// Does one step; a failure is kept for the summary and does not stop the steps after it. The answer is whether
    /// the step did not fail.
    pub(crate) fn step(&mut self, name: &'static str, action: impl FnOnce() -> Result<Outcome>) -> bool {
        eprintln!("\n==> {name}");
        let started = Instant::now();
        let result = action();
        let took = seconds(started.elapsed());
        match result {
            Ok(Outcome::Passed) => {
                eprintln!("    {name}: ok ({took})");
                self.passed += 1;
                true
            }
            Ok(Outcome::NotChecked(reason)) => {
                eprintln!("    {name}: not checked: {reason}");
                self.not_checked.push((name, reason));
                true
            }
            Err(error) => {
                eprintln!("    {name}: FAILED ({took}): {error:#}");
                self.failed.push((name, format!("{error:#}")));
                false
            }
        }
    }

    /// Prints the summary.
    pub(crate) fn finish(self) -> Verdict {
        let Self {
            task,
            started,
            passed,
            not_checked,
            failed,
        } = self;
        let took = seconds(started.elapsed());
        eprintln!(
            "\n{task}: {passed} steps passed, {} failed in {took}",
            failed.len()
        );
        for (name, reason) in &not_checked {
            eprintln!("  not checked: {name}: {reason}");
        }
        for (name, error) in &failed {
            eprintln!("  FAILED: {name}: {error}");
        }
        if failed.is_empty() {
            Verdict::Passed
        } else {
            Verdict::Failed
        }
    }
}

/// A duration for people.
pub(crate) fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 60.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{} min {:.0} s", duration.as_secs() / 60, seconds % 60.0)
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn one_failed_step_fails_the_task_and_the_others_still_run() {
        let mut steps = Steps::new("test");
        assert!(!steps.step("first", || Err(anyhow!("broken"))));
        assert!(steps.step("second", || Ok(Outcome::Passed)));
        assert!(steps.finish() == Verdict::Failed);
    }

    #[test]
    fn a_step_that_cannot_be_checked_here_does_not_fail_the_task() {
        let mut steps = Steps::new("test");
        assert!(steps.step("only", || Ok(Outcome::NotChecked("no network".to_owned()))));
        assert!(steps.finish() == Verdict::Passed);
    }
}
