//! Of a refused submission nothing comes: no znode, no file. What it may have pushed expires.
//!
//! That none of its tasks is executed follows from there being no znode, and is judged by itself all the same.

use super::{Case, Findings, Promise};
use crate::expect::Expected;

pub(super) fn check(case: &Case<'_>, found: &mut Findings) {
    for (id, job) in case.jobs.iter().filter(|(_, job)| job.is_refused()) {
        if !job.lives.is_empty() {
            found.add(Promise::Refused, *id, "it was refused, but created");
        }
        if job.seen.is_some() {
            found.add(Promise::Refused, *id, "it was refused, but delivered");
        }
        let payloads = job.expected.iter().flat_map(Expected::payloads);
        let executed = payloads
            .filter(|payload| case.executions.contains_key(payload))
            .count();
        if executed > 0 {
            found.add(
                Promise::Refused,
                *id,
                format!("it was refused, but {executed} of its tasks were executed"),
            );
        }
    }
}
