//! The environment of a program that a daemon starts: cleared, but for a list.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
};

/// The variables that a program starts with.
pub type Variables = Vec<(OsString, OsString)>;

/// Those of `ours` that a pattern names, and `set`, of which the last is the strongest. A pattern is a name; a `*` at its
/// end stands for any rest.
#[must_use]
pub fn environment(
    patterns: &[String],
    ours: impl IntoIterator<Item = (OsString, OsString)>,
    set: impl IntoIterator<Item = (OsString, OsString)>,
) -> Variables {
    let passed_on = ours
        .into_iter()
        .filter(|(name, _)| patterns.iter().any(|pattern| names(pattern, name)));
    let merged: BTreeMap<OsString, OsString> = passed_on.chain(set).collect();
    merged.into_iter().collect()
}

fn names(pattern: &str, name: &OsStr) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.as_bytes().starts_with(start.as_bytes()),
        None => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(patterns: &[&str], set: &[(&str, &str)], ours: &[(&str, &str)]) -> Vec<String> {
        let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.into()).collect();
        let set = set.iter().map(|&(name, value)| (name.into(), value.into()));
        let ours = ours.iter().map(|&(name, value)| (name.into(), value.into()));
        environment(&patterns, ours, set)
            .into_iter()
            .map(|(name, value)| format!("{}={}", name.display(), value.display()))
            .collect()
    }

    #[test]
    fn only_what_is_listed_is_passed_on() {
        let ours = [
            ("PATH", "/bin"),
            ("LC_ALL", "C"),
            ("LC", "x"),
            ("SECRET", "s"),
            ("PATHS", "y"),
        ];
        assert_eq!(passed(&["PATH", "LC_*"], &[], &ours), ["LC_ALL=C", "PATH=/bin"]);
        assert_eq!(passed(&[], &[], &ours), [] as [&str; 0]);
        assert_eq!(passed(&["*"], &[], &ours).len(), 5);
    }

    #[test]
    fn what_is_set_is_stronger_than_what_is_passed_on() {
        assert_eq!(
            passed(
                &["PATH"],
                &[("PATH", "/opt"), ("MODE", "fast")],
                &[("PATH", "/bin")]
            ),
            ["MODE=fast", "PATH=/opt"]
        );
    }
}
