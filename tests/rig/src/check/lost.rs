//! A job is `lost` only when Redis lost writes after it was submitted.
//!
//! One whose submitter never said that it is safe may be lost by itself: what is staged lives for a time only, and nobody may
//! have opened the job by then.

use super::{Case, Findings, Job, Promise};
use crate::history::How;

pub(super) fn check(case: &Case<'_>, found: &mut Findings) {
    for (id, job) in &case.jobs {
        if (job.is_lost || job.was("lost")) && !case.may_have_lost(job) && !may_have_lapsed(job) {
            let why = if case.losses.is_empty() {
                "it is lost, but Redis lost nothing"
            } else {
                "it is lost, but was submitted after Redis had lost something"
            };
            found.add(Promise::Lost, *id, why);
        }
    }
}

fn may_have_lapsed(job: &Job<'_>) -> bool {
    !job.is_acknowledged()
        && job
            .submissions
            .iter()
            .all(|submission| submission.how != How::Plain)
}
