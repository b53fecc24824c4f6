//! What an operator has switched off: `<root>/queues/<queue>`.
//!
//! ```text
//! {"paused": true}
//! ```
//!
//! The znode is optional: without one everything is on. Keys that this version does not know are kept, so that an older
//! tool loses nothing of a newer one's.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::QueueName;

/// The switches of one queue, as its znode holds them in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueSwitches {
    /// Whether executors claim nothing of it.
    #[serde(default)]
    pub paused: bool,
    /// What else stands there.
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// Why the data of a znode are no switches.
#[derive(Debug, thiserror::Error)]
#[error("is not like {{\"paused\": true}}: {0}")]
pub struct QueueSwitchesError(#[from] serde_json::Error);

impl QueueSwitches {
    /// Those that `data` holds. A znode without data switches nothing.
    ///
    /// # Errors
    /// When it is no JSON object, or a known key has a value of another type.
    pub fn parse(data: &[u8]) -> Result<Self, QueueSwitchesError> {
        if data.is_empty() {
            return Ok(Self::default());
        }
        Ok(serde_json::from_slice(data)?)
    }

    /// The data that [`Self::parse`] reads.
    #[must_use]
    pub fn to_data(&self) -> Vec<u8> {
        // Maps with text for keys can always be written.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Whether it says nothing that its absence would not say.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The switches of all queues, as far as they are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Switchboard(Option<BTreeMap<QueueName, QueueSwitches>>);

impl Switchboard {
    /// Those that were read: a queue that is not in them has none.
    #[must_use]
    pub const fn new(switches: BTreeMap<QueueName, QueueSwitches>) -> Self {
        Self(Some(switches))
    }

    /// Whether they were read at all.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        self.0.is_some()
    }

    /// Whether nothing of `queue` may be claimed: it is paused, or it is not known yet that it is not.
    #[must_use]
    pub fn is_paused(&self, queue: &QueueName) -> bool {
        self.0
            .as_ref()
            .is_none_or(|switches| switches.get(queue).is_some_and(|switches| switches.paused))
    }

    /// Every queue that has switches, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&QueueName, &QueueSwitches)> {
        self.0.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn unknown_keys_outlive_a_change() {
        let mut switches = QueueSwitches::parse(br#"{"limit":{"at_once":3},"paused":true}"#).unwrap();
        switches.paused = false;
        assert!(!switches.is_default());
        let again: Value = serde_json::from_slice(&switches.to_data()).unwrap();
        assert_eq!(
            again,
            serde_json::json!({"limit": {"at_once": 3}, "paused": false})
        );
    }

    #[test]
    fn nothing_is_switched_by_a_znode_without_data() {
        for data in ["", "{}", "{\"paused\":false}"] {
            assert!(
                QueueSwitches::parse(data.as_bytes()).unwrap().is_default(),
                "{data}"
            );
        }
        for data in ["paused", "[]", "true", "{\"paused\":1}", "{", "\u{0}"] {
            assert!(QueueSwitches::parse(data.as_bytes()).is_err(), "{data}");
        }
    }

    #[test]
    fn a_queue_is_taken_for_paused_until_the_switches_are_known() {
        let queue = |name: &str| QueueName::new(name).unwrap();
        assert!(Switchboard::default().is_paused(&queue("a")));
        let paused = QueueSwitches {
            paused: true,
            ..QueueSwitches::default()
        };
        let board = Switchboard::new(BTreeMap::from([
            (queue("a"), paused),
            (queue("b"), QueueSwitches::default()),
        ]));
        assert!(
            board.is_paused(&queue("a")) && !board.is_paused(&queue("b")) && !board.is_paused(&queue("c"))
        );
    }

    proptest! {
        #[test]
        fn no_data_make_the_parser_panic_and_what_it_takes_is_written_back(data in any::<Vec<u8>>()) {
            if let Ok(switches) = QueueSwitches::parse(&data) {
                prop_assert_eq!(QueueSwitches::parse(&switches.to_data()).unwrap(), switches);
            }
        }
    }
}
