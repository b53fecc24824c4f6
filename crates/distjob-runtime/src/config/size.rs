//! `#[serde(with = "size")]` for a number of bytes in a `u64`, written like `"64MiB"` or `"1500B"`.

use bytesize::ByteSize;
use serde::{Deserialize, Deserializer, Serializer, de};

const UNITS: [(u64, &str); 4] = [
    (1 << 40, "TiB"),
    (1 << 30, "GiB"),
    (1 << 20, "MiB"),
    (1 << 10, "KiB"),
];

/// Writes the size in the largest unit that says it exactly.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(bytes: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    let exact = UNITS
        .iter()
        .find(|(unit, _)| *bytes >= *unit && bytes.is_multiple_of(*unit));
    match exact {
        Some((unit, name)) => serializer.collect_str(&format_args!("{}{name}", bytes / unit)),
        None => serializer.collect_str(&format_args!("{bytes}B")),
    }
}

/// Reads a size with a unit, binary (`KiB`) or decimal (`KB`); a text of digits alone counts bytes.
///
/// # Errors
/// When the text is no size.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    let size: ByteSize = text.parse().map_err(|error| {
        de::Error::custom(format!(
            "\"{text}\" is no size such as \"64MiB\" or \"256KiB\": {error}"
        ))
    })?;
    Ok(size.as_u64())
}
