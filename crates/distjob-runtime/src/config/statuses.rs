//! Sets of HTTP statuses.

use std::{fmt, ops::RangeInclusive, str::FromStr};

use serde::{Deserialize, Serialize};

/// HTTP statuses, written as a list of single ones and ranges: `["200-299", "304"]`.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Statuses(Vec<StatusRange>);

impl Statuses {
    /// Whether `status` is one of them.
    #[must_use]
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.0.contains(&status))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A status that is in both.
    #[must_use]
    pub fn common(&self, other: &Self) -> Option<u16> {
        LEGAL
            .into_iter()
            .find(|status| self.contains(*status) && other.contains(*status))
    }
}

/// What HTTP knows as statuses.
const LEGAL: RangeInclusive<u16> = 100..=599;

/// One status, or all from one to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct StatusRange(RangeInclusive<u16>);

/// Why a text names no statuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no status such as \"404\" and no range such as \"200-299\", from 100 to 599")]
struct StatusError(String);

impl FromStr for StatusRange {
    type Err = StatusError;

    fn from_str(text: &str) -> Result<Self, StatusError> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let status = |text: &str| {
            let is_three_digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse()
                .ok()
                .filter(|status| is_three_digits && LEGAL.contains(status))
        };
        match (status(first), status(last)) {
            (Some(first), Some(last)) if first <= last => Ok(Self(first..=last)),
            _ => Err(StatusError(text.to_owned())),
        }
    }
}

impl fmt::Display for StatusRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (self.0.start(), self.0.end());
        match first == last {
            true => write!(f, "{first}"),
            false => write!(f, "{first}-{last}"),
        }
    }
}

impl TryFrom<String> for StatusRange {
    type Error = StatusError;

    fn try_from(text: String) -> Result<Self, StatusError> {
        text.parse()
    }
}

impl From<StatusRange> for String {
    fn from(range: StatusRange) -> Self {
        range.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statuses(items: &[&str]) -> Result<Statuses, StatusError> {
        let ranges: Result<_, _> = items.iter().map(|item| item.parse()).collect();
        ranges.map(Statuses)
    }

    #[test]
    fn statuses_are_single_ones_and_ranges() {
        let some = statuses(&["200-299", "304"]).unwrap();
        for (status, is_in) in [(199, false), (200, true), (299, true), (300, false), (304, true)] {
            assert_eq!(some.contains(status), is_in, "{status}");
        }
        let texts: Vec<_> = some.0.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["200-299", "304"]);
        assert_eq!(some.common(&statuses(&["304-310"]).unwrap()), Some(304));
        assert_eq!(some.common(&statuses(&["305"]).unwrap()), None);
        for text in [
            "",
            "2xx",
            "299-200",
            "99",
            "600",
            "200-",
            "-200",
            "200-299-300",
            "0200",
            "+20",
        ] {
            assert!(statuses(&[text]).is_err(), "{text}");
        }
    }
}
