//! A job is delivered once: one file, one `uploaded`; and whatever changed the ledger was allowed to.

use super::{Case, Findings, Promise};

pub(super) fn check(case: &Case<'_>, found: &mut Findings) {
    for violation in &case.ledger.violations {
        found.add(Promise::Once, "ledger", violation);
    }
    for (id, job) in &case.jobs {
        let uploads = job.lives.iter().filter(|life| life.was("uploaded")).count();
        // A store that forgot the tombstone of a job takes its id for a new one.
        if uploads > 1 && !case.may_have_lost(job) {
            found.add(Promise::Once, *id, format!("it was uploaded in {uploads} lives"));
        }
        // A watcher may have been overtaken by a cancellation between the file and the ledger.
        if job.seen.is_some() && uploads == 0 && !job.was("cncl") && !job.was("lost") {
            found.add(
                Promise::Once,
                *id,
                "it has a file, but its znode never said `uploaded`",
            );
        }
    }
}
