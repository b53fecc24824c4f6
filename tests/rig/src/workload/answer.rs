//! What a submitter that has ended told of its one job.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use crate::history::Answer;

/// Words of the submitter's errors after which a job may exist, whatever its exit status.
const MAY_EXIST: [&str; 2] = ["may have come to be nevertheless", "may still run"];
/// The submitter's word for a job that it had created and took back.
const TAKEN_BACK: &str = "it was cancelled";
/// The submitter's word for an id that was in use.
const IN_USE: &str = "already submitted";

/// What a run of `submitter once --id ID` says, by its status, its standard output and its standard error.
#[must_use]
pub fn answer_of(id: &str, status: ExitStatus, stdout: &[String], stderr: &[String]) -> Answer {
    // The id is printed when the job is safe: whatever happened to the submitter then is no matter of the job.
    if stdout.iter().any(|line| line == id) {
        return Answer::Acknowledged;
    }
    let said = |word: &str| stderr.iter().any(|line| line.contains(word));
    if status.success() {
        if said(IN_USE) {
            return Answer::Before;
        }
        let why = "it ended with status 0 and named no job".to_owned();
        return Answer::Unclear { why };
    }
    let why = stderr.last().cloned().unwrap_or_else(|| status.to_string());
    if status.signal().is_some() {
        Answer::Unclear {
            why: status.to_string(),
        }
    } else if MAY_EXIST.iter().any(|word| said(word)) {
        Answer::Unclear { why }
    } else if said(TAKEN_BACK) {
        Answer::Withdrawn { why }
    } else {
        Answer::Refused { why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KILLED: i32 = 9;
    const FAILED: i32 = 1 << 8;
    const UNREACHABLE: i32 = 69 << 8;

    fn answer(status: i32, stdout: &str, stderr: &str) -> Answer {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        answer_of(
            "mixed-1",
            ExitStatus::from_raw(status),
            &lines(stdout),
            &lines(stderr),
        )
    }

    #[test]
    fn a_printed_id_is_a_safe_job_whatever_came_after_it() {
        for status in [0, FAILED, KILLED] {
            assert_eq!(answer(status, "mixed-1\n", ""), Answer::Acknowledged);
        }
    }

    #[test]
    fn an_id_in_use_is_told() {
        let warning = "WARN submitter: already submitted, nothing changed job.id=mixed-1";
        assert_eq!(answer(0, "", warning), Answer::Before);
    }

    #[test]
    fn a_killed_submitter_leaves_it_unclear() {
        assert!(matches!(answer(KILLED, "", ""), Answer::Unclear { .. }));
    }

    #[test]
    fn errors_that_leave_it_open_are_told_from_those_that_do_not() {
        let unclear =
            "error: failed to create job mixed-1, which may have come to be nevertheless: submit it again";
        assert!(matches!(answer(UNREACHABLE, "", unclear), Answer::Unclear { .. }));
        let stuck = "error: job mixed-1 could not be cancelled and may still run (timeout): failed to open job mixed-1";
        assert!(matches!(answer(FAILED, "", stuck), Answer::Unclear { .. }));
        let back = "error: it was cancelled: failed to open job mixed-1: redis stayed unreachable";
        assert!(matches!(answer(UNREACHABLE, "", back), Answer::Withdrawn { .. }));
        let refused = "error: failed to push tasks of job mixed-1: redis stayed unreachable";
        assert_eq!(
            answer(UNREACHABLE, "", refused),
            Answer::Refused {
                why: refused.to_owned()
            }
        );
    }

    #[test]
    fn a_success_without_a_word_is_no_acknowledgement() {
        assert!(matches!(answer(0, "", ""), Answer::Unclear { .. }));
    }
}
