//! Nothing is left when all is over: no znode of a job, a lock or a member, no key but tombstones, no partial file.

use super::Evidence;

pub(super) fn check(evidence: &Evidence) -> Vec<String> {
    // What is unfinished has not been cleaned up yet.
    if !evidence.unfinished.is_empty() {
        return Vec::new();
    }
    let root = format!("{}/", evidence.layout.root().trim_end_matches('/'));
    let znodes = evidence.znodes.keys().filter(|path| {
        let below = path.strip_prefix(&root);
        // That groups go away is looked at elsewhere: one that nobody closed stays.
        below.is_some_and(|below| below.contains('/') && !below.starts_with("groups/"))
    });
    let mut violations: Vec<String> = znodes.map(|path| format!("znode {path}")).collect();
    violations.extend(
        evidence
            .partials
            .iter()
            .map(|name| format!("partial file {name}")),
    );
    // A store that came back may hold what was dropped before: that is what `distjobctl gc` is for.
    let keys = evidence
        .keys
        .iter()
        .filter(|(id, _)| !evidence.store.damaged.contains(id));
    violations.extend(keys.map(|(id, what)| format!("keys of {id}: {what}")));
    violations
}
