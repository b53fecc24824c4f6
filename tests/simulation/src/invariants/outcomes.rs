//! For each task of each life of a job at most one outcome takes effect, and its pieces are a partition after every
//! script. The store's model notices both by itself, script by script.

use super::Evidence;

pub(super) fn check(evidence: &Evidence) -> Vec<String> {
    evidence.store.violations.clone()
}
