//! Each task of a delivered job was executed at least once, and exactly once in a run without faults.
//!
//! A task that was given up need not have been: its executor may have died before it came to it.

use super::{Case, Findings, Job, Promise};

pub(super) fn check(case: &Case<'_>, found: &mut Findings) {
    let is_without_faults = case.is_without_faults();
    for (id, job) in &case.jobs {
        let (never, twice) = count(case, job);
        let given_up = job.seen.map_or(0, |seen| seen.given_up);
        if job.seen.is_some() && never > given_up {
            let why = format!("{never} of its tasks were never executed, {given_up} were given up");
            found.add(Promise::Executed, *id, why);
        }
        if is_without_faults && twice > 0 {
            let why = format!("{twice} of its tasks were executed more than once, without a fault");
            found.add(Promise::Executed, *id, why);
        }
    }
}

/// How many of the job's tasks were never executed, and how many of those that harm nobody more than once.
fn count(case: &Case<'_>, job: &Job<'_>) -> (u64, u64) {
    let (mut never, mut twice) = (0, 0);
    let Some(expected) = &job.expected else {
        return (never, twice);
    };
    for index in 0..expected.count() {
        match case.executions.get(&expected.payload(index)) {
            None => never += 1,
            Some(1) => {}
            Some(_) => twice += u64::from(!expected.may_repeat(index)),
        }
    }
    (never, twice)
}
