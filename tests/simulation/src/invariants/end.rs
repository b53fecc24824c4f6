//! Every job ends, and every daemon stops when it is asked to, within a bound after the last fault.

use super::Evidence;

pub(super) fn check(evidence: &Evidence) -> Vec<String> {
    let mut violations = evidence.unfinished.clone();
    if evidence.panics > 0 {
        violations.push(format!("{} panics", evidence.panics));
    }
    violations
}
