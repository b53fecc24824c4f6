//! ZooKeeper transaction ids.

use std::{fmt, str::FromStr};

/// A ZooKeeper transaction id: the position of a change in the one order of all changes of an ensemble.
///
/// Written as 16 lower-case hexadecimal digits, so that text order is number order and no reader (Lua's numbers are
/// doubles) can lose bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Zxid(u64);

impl Zxid {
    /// The id with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number, as ZooKeeper's wire format has it.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl From<i64> for Zxid {
    /// ZooKeeper's `Stat` carries the 64 bits as a signed number.
    fn from(stat: i64) -> Self {
        Self(stat.cast_unsigned())
    }
}

impl fmt::Display for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The text is not 16 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a zxid is written as 16 lower-case hexadecimal digits, not as {0:?}")]
pub struct ZxidError(String);

impl FromStr for Zxid {
    type Err = ZxidError;

    fn from_str(text: &str) -> Result<Self, ZxidError> {
        let canonical = text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        canonical
            .then(|| u64::from_str_radix(text, 16).ok())
            .flatten()
            .map(Self)
            .ok_or_else(|| ZxidError(text.chars().take(40).collect()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn text_goes_both_ways_and_keeps_the_order(a in any::<u64>(), b in any::<u64>()) {
            let (x, y) = (Zxid::new(a), Zxid::new(b));
            prop_assert_eq!(x.to_string().parse::<Zxid>(), Ok(x));
            prop_assert_eq!(x.to_string().cmp(&y.to_string()), a.cmp(&b));
        }
    }

    #[test]
    fn only_the_canonical_text_is_read() {
        for text in [
            "",
            "1",
            "00000000000000001",
            "000000000000000A",
            "+000000000000001",
            "0x00000000000001",
        ] {
            assert!(text.parse::<Zxid>().is_err(), "{text}");
        }
    }
}
