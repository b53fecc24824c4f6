//! Nothing is left behind.
//!
//! What stays by design: the mark that ties the store to its ledger, tombstones and abandoned submissions until they
//! expire, and all of a job that is `lost`, for an operator to restore or to cancel. A store that was set back may hold the
//! list of a plain submission again that nobody will ever look at: nothing in it says whose it was.

use super::{Case, Findings, Promise};
use crate::history::{Event, How, LeftKey};

/// How many descriptors more than at its start a daemon may have at the end: connections that are being made anew.
const SPARE_DESCRIPTORS: u64 = 8;

pub(super) fn check(case: &Case<'_>, found: &mut Findings) {
    for (_, event) in case.history.events() {
        if let Event::Orphaned { name, processes } = event {
            let why = format!("it ended and left processes behind: {processes:?}");
            found.add(Promise::Left, name, why);
        }
    }
    let left = case.history.events().find_map(|(_, event)| match event {
        Event::Left(left) => Some(left),
        _ => None,
    });
    let Some(left) = left else {
        return found.add(Promise::Left, "run", "nobody looked at what is left");
    };
    for znode in &left.znodes {
        let id = znode.rsplit('/').next().unwrap_or_default();
        let is_job = znode.ends_with(&format!("jobs/{id}"));
        if !(is_job && case.is_lost(id)) {
            found.add(Promise::Left, znode, "a znode is left");
        }
    }
    for key in &left.keys {
        if let Some(why) = wrong(case, key) {
            found.add(Promise::Left, &key.key, why);
        }
    }
    for process in &left.processes {
        found.add(Promise::Left, process, "a process is left");
    }
    for file in &left.files {
        found.add(Promise::Left, file, "a temporary file is left");
    }
    for process in &left.descriptors {
        if process.at_end > process.at_start + SPARE_DESCRIPTORS {
            let why = format!(
                "{} descriptors are open at the end, {} were when it had started",
                process.at_end, process.at_start
            );
            found.add(Promise::Left, &process.process, why);
        }
    }
}

/// Why a key should not be there, if it should not.
fn wrong(case: &Case<'_>, key: &LeftKey) -> Option<&'static str> {
    let prefix = case
        .parameters
        .map_or("", |parameters| parameters.prefix.as_str());
    let Some(rest) = key.key.strip_prefix(prefix) else {
        return plain(case, &key.key);
    };
    if rest == "ledger" {
        return None;
    }
    let Some((id, name)) = rest.strip_prefix('{').and_then(|rest| rest.split_once("}:")) else {
        return plain(case, &key.key);
    };
    let does_expire = key.ttl_ms.is_some();
    if case.is_lost(id) {
        None
    } else if key.is_tombstone {
        (!does_expire).then_some("a tombstone that never expires")
    } else if name.starts_with("in:") {
        (!does_expire).then_some("an abandoned submission that never expires")
    } else {
        Some("a key of a job is left")
    }
}

/// As [`wrong`], for the list of a plain submission, whose key is the job's id.
fn plain(case: &Case<'_>, key: &str) -> Option<&'static str> {
    let Some(job) = case.jobs.get(key) else {
        return Some("a key that is nobody's");
    };
    let is_plain = job
        .submissions
        .iter()
        .any(|submission| submission.how == How::Plain);
    // Pushed by a submitter that was never sure of its znode: it has to remove the list, or to try again.
    let is_excused = is_plain && (job.is_lost || case.may_have_lost(job) || job.lives.is_empty());
    (!is_excused).then_some("the list of a plain submission is left")
}
