//! `#[serde(with = "duration")]` for a [`Duration`] written like `"10s"`, `"250ms"` or `"1h 30m"`.

use std::time::Duration;

use humantime_serde::re::humantime;
use serde::{Deserialize, Deserializer, Serializer, de};

/// Writes the duration as text that [`deserialize`] reads back exactly.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_duration(*duration))
}

/// Reads a duration with units; a number alone is refused, for nobody knows of what.
///
/// # Errors
/// When the text is no duration.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text).map_err(|error| {
        de::Error::custom(format!(
            "\"{text}\" is no duration such as \"10s\" or \"250ms\": {error}"
        ))
    })
}
