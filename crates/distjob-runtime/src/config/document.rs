//! Holds an embedded default to its second duty: to be the documentation.

use super::reload::reloadable;
use super::{CommonArgs, Settings, Sources, read};

/// What a comment says about a key that a running program takes over.
const MARK: &str = "[reload]";

/// For the tests of a program: panics unless `text` is a good configuration by itself, holds exactly the keys of
/// `T`, and has a comment above each table and each key, which holds `[reload]` exactly for the reloadable ones. A
/// program that ends by itself never reloads: its file marks nothing.
///
/// # Panics
/// When it is not, with the reasons.
pub fn assert_documents<T: Settings>(name: &'static str, text: &'static str) {
    let sources = Sources {
        name,
        embedded: text,
        args: CommonArgs::default(),
        environment: Vec::new(),
        directory: "/nonexistent".into(),
    };
    if let Err(error) = read::<T>(sources) {
        panic!("{error}");
    }
    let reloads = text.contains(MARK) || !T::RELOADABLE.is_empty();
    let mut comment = String::new();
    let mut table = "";
    for line in text.lines() {
        if line.starts_with('#') {
            comment.push_str(line);
            continue;
        }
        if let Some(name) = line.strip_prefix('[') {
            table = name.trim_end_matches(']');
            assert!(!comment.is_empty(), "[{table}] has no comment above it");
        } else if let Some((name, _)) = line.split_once(" = ") {
            let key = format!("{table}.{name}");
            assert!(!comment.is_empty(), "`{key}` has no comment above it");
            assert_eq!(
                comment.contains(MARK),
                reloads && reloadable::<T>(&key),
                "`{key}`: {MARK} is wrong"
            );
        }
        comment.clear();
    }
}
