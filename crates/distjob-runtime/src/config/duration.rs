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

/// No duration is longer than a hundred years: "for ever" added to a clock would overflow it.
const LONGEST: Duration = Duration::from_secs(36_525 * 24 * 60 * 60);

/// Reads a duration with units; a number alone is refused, for nobody knows of what.
///
/// # Errors
/// When the text is no duration, or one of more than a hundred years.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let duration = humantime::parse_duration(&text).map_err(|error| {
        de::Error::custom(format!(
            "\"{text}\" is no duration such as \"10s\" or \"250ms\": {error}"
        ))
    })?;
    if duration > LONGEST {
        return Err(de::Error::custom(format!(
            "\"{text}\" is more than a hundred years; 36525days is the longest"
        )));
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use serde::de::value::{Error, StrDeserializer};

    use super::*;

    #[test]
    fn no_duration_overflows_a_clock() {
        let read = |text: &str| deserialize(StrDeserializer::<Error>::new(text));
        assert_eq!(read("36525days"), Ok(LONGEST));
        assert!(std::time::Instant::now().checked_add(LONGEST).is_some());
        for text in ["36525days 1s", "18446744073709551615s", "584542046090years"] {
            let error = read(text).unwrap_err().to_string();
            assert!(
                error.contains(text) && error.contains("a hundred years"),
                "{error}"
            );
        }
    }
}
