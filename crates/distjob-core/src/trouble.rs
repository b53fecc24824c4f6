//! What is known of a job that a sink does not take: for people and tools, under [a key](crate::KeyScheme::trouble) that
//! expires. No rule reads it.

use serde::{Deserialize, Serialize};

use crate::{MemberName, SinkName};

/// A sink that does not take the result of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkTrouble {
    /// Which; the first of several.
    pub sink: SinkName,
    /// Why.
    pub error: String,
    /// When it first failed, in milliseconds since 1970 by the watcher's clock.
    pub since_ms: u64,
    /// How many attempts have failed.
    pub attempts: u32,
    /// Who tried.
    pub watcher: MemberName,
    /// When it will be tried again, in milliseconds since 1970 by the watcher's clock.
    pub next_ms: u64,
    /// Further sinks that do not take it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<SinkName>,
}

impl SinkTrouble {
    /// As it stands in the store: one line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("plain fields can be written")
    }

    /// Reads what stands there; nothing when somebody else wrote it.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_something_else_is_nothing() {
        let trouble = SinkTrouble {
            sink: SinkName::new("mail").unwrap(),
            error: "post it: \"no\"\n".to_owned(),
            since_ms: 1,
            attempts: 2,
            watcher: MemberName::new("w").unwrap(),
            next_ms: 3,
            others: Vec::new(),
        };
        let text = trouble.to_json();
        assert_eq!(
            text,
            r#"{"sink":"mail","error":"post it: \"no\"\n","since_ms":1,"attempts":2,"watcher":"w","next_ms":3}"#
        );
        assert_eq!(SinkTrouble::parse(text.as_bytes()), Some(trouble));
        assert_eq!(SinkTrouble::parse(b"{}"), None);
        assert_eq!(SinkTrouble::parse(b"\xff"), None);
    }
}
