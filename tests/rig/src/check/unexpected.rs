//! What is delivered, run or created was submitted.

use std::collections::BTreeSet;

use super::{Case, Delivery, Findings, Promise};
use crate::expect::named_in;

/// At the time when the file is read: a job that has a file already has two.
pub(super) fn check_file(case: &Case<'_>, delivery: &Delivery, found: &mut Findings) {
    if let Some(job) = case.follow_ups.get(delivery.id.as_str()) {
        if job.queue != delivery.queue {
            let why = format!("delivered to {}, created in {}", delivery.queue, job.queue);
            found.add(Promise::Unexpected, &delivery.id, why);
        }
        return;
    }
    let Some(job) = case.jobs.get(delivery.id.as_str()) else {
        let why = format!("a file in queue {}, but nobody submitted it", delivery.queue);
        return found.add(Promise::Unexpected, &delivery.id, why);
    };
    if job.queue != delivery.queue {
        let why = format!("delivered to {}, submitted to {}", delivery.queue, job.queue);
        found.add(Promise::Unexpected, &delivery.id, why);
    }
    if job.seen.is_some() {
        let why = format!("a second file, in queue {}", delivery.queue);
        found.add(Promise::Once, &delivery.id, why);
    }
}

/// `follow`: what is noted of tasks of jobs that watchers created.
pub(super) fn check(case: &Case<'_>, follow: &BTreeSet<String>, found: &mut Findings) {
    for id in case.ledger.jobs.keys() {
        if !case.jobs.contains_key(id.as_str()) && !case.follow_ups.contains_key(id.as_str()) {
            found.add(Promise::Unexpected, id, "created, but nobody submitted it");
        }
    }
    for payload in case.executions.keys() {
        if !is_of_the_run(case, payload) && !follow.contains(payload) {
            found.add(
                Promise::Unexpected,
                payload,
                "executed, but no submitted job has this task",
            );
        }
    }
}

fn is_of_the_run(case: &Case<'_>, payload: &str) -> bool {
    let Some((id, index)) = named_in(payload) else {
        return false;
    };
    let expected = case.jobs.get(id).and_then(|job| job.expected.as_ref());
    expected.is_some_and(|expected| index < expected.count() && expected.payload(index) == payload)
}
