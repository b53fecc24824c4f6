//! Holds an embedded default to its second duty: to be the documentation.

use super::{CommonArgs, Settings, Sources, check, read};

/// For the tests of a program: panics unless `text` is a good configuration by itself, holds exactly the keys of
/// `T`, and has a comment above each table and each key.
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
    let table = text.parse().expect("it was parsed before");
    for key in check::leaves(&table).keys() {
        let name = key.rsplit('.').next().unwrap_or(key);
        assert!(
            is_commented(text, &format!("{name} =")),
            "`{key}` has no comment above it"
        );
    }
    for table in table.keys() {
        assert!(
            is_commented(text, &format!("[{table}]")),
            "[{table}] has no comment above it"
        );
    }
}

/// Whether every line that begins with `start` follows a comment.
fn is_commented(text: &str, start: &str) -> bool {
    let lines: Vec<_> = text.lines().collect();
    lines
        .windows(2)
        .filter(|pair| pair[1].starts_with(start))
        .all(|pair| pair[0].starts_with('#'))
}
