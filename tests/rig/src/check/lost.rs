//! A job is `lost` only when Redis lost writes after it was submitted.

use super::{Case, Findings, Promise};

pub(super) fn check(case: &Case<'_>, found: &mut Findings) {
    for (id, job) in &case.jobs {
        if (job.is_lost || job.was("lost")) && !case.may_have_lost(job) {
            let why = if case.losses.is_empty() {
                "it is lost, but Redis lost nothing"
            } else {
                "it is lost, but was submitted after Redis had lost something"
            };
            found.add(Promise::Lost, *id, why);
        }
    }
}
