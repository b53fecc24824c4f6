//! A job that was acknowledged, or that came to be, is delivered, unless it was cancelled or is `lost`.
//!
//! A submitter that was told nothing may still have made a job, and one that came to be ends like any other: that is why
//! this asks the ledger, and not the submitters alone.

use super::{Case, Findings, Job, Promise};

pub(super) fn check(case: &Case<'_>, found: &mut Findings) {
    // What was refused is judged by itself.
    for (id, job) in case.jobs.iter().filter(|(_, job)| !job.is_refused()) {
        if job.seen.is_none()
            && let Some(why) = missing(case, job)
        {
            found.add(Promise::Delivered, *id, why);
        }
        if job.was("cncl") && !may_be_cancelled(case, job) {
            found.add(
                Promise::Delivered,
                *id,
                "it was cancelled, and nobody had asked for it",
            );
        }
    }
}

/// Why it is wrong that the job has no file, if it is.
fn missing(case: &Case<'_>, job: &Job<'_>) -> Option<String> {
    let Some(life) = job.lives.last() else {
        return job
            .is_acknowledged()
            .then(|| "acknowledged, but never created".to_owned());
    };
    // Whether those are right is judged elsewhere.
    if life.was("cncl") || life.was("lost") || job.is_lost {
        return None;
    }
    let told = if job.is_acknowledged() {
        "acknowledged"
    } else {
        "created"
    };
    let loss = if case.may_have_lost(job) {
        "; Redis had lost writes, but it is not lost"
    } else {
        ""
    };
    Some(format!(
        "{told}, but not delivered; its states were {}{loss}",
        life.states.join(", ")
    ))
}

/// A submitter takes back only the job that it made itself, so none was made by one that says so and safe by another one,
/// unless the store forgot the first life.
fn may_be_cancelled(case: &Case<'_>, job: &Job<'_>) -> bool {
    job.is_cancelled || (job.may_be_withdrawn() && (!job.is_acknowledged() || case.may_have_lost(job)))
}
