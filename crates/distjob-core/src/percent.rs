//! Shares of a whole, for thresholds such as "at most 2.5% of a job's tasks".

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// So many hundredths of a per cent are the whole.
const WHOLE: u16 = 10_000;

/// A share from `0%` to `100%`, in hundredths of a per cent; read and written like `"2.5%"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Percent(u16);

/// Why a text is no [`Percent`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no share such as \"5%\" or \"2.5%\", from \"0%\" to \"100%\", with at most two decimals")]
pub struct PercentError(String);

impl Percent {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// All.
    pub const ALL: Self = Self(WHOLE);

    /// Whether it is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// How many of `whole` things this share is, rounded up: of one thing or more, a share above nothing is never
    /// nothing.
    #[must_use]
    pub fn of(self, whole: u64) -> u64 {
        let share = (u128::from(whole) * u128::from(self.0)).div_ceil(u128::from(WHOLE));
        // A share is no larger than the whole.
        u64::try_from(share).unwrap_or(whole)
    }

    /// Whether `part` of `whole` is this share or less, exactly.
    #[must_use]
    pub fn covers(self, part: u64, whole: u64) -> bool {
        u128::from(part) * u128::from(WHOLE) <= u128::from(whole) * u128::from(self.0)
    }

    /// Whether `part` of `whole` is this share or more, exactly.
    #[must_use]
    pub fn is_reached(self, part: u64, whole: u64) -> bool {
        u128::from(part) * u128::from(WHOLE) >= u128::from(whole) * u128::from(self.0)
    }
}

impl FromStr for Percent {
    type Err = PercentError;

    fn from_str(text: &str) -> Result<Self, PercentError> {
        parse(text).ok_or_else(|| PercentError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Percent> {
    let number = text.strip_suffix('%')?;
    let (units, decimals) = number.split_once('.').unwrap_or((number, "0"));
    // The parser of integers would take a sign.
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(units) || !is_digits(decimals) || decimals.len() > 2 {
        return None;
    }
    let units: u16 = units.parse().ok().filter(|units| *units <= 100)?;
    let decimals: u16 = format!("{decimals:0<2}").parse().ok()?;
    Some(units * 100 + decimals)
        .filter(|hundredths| *hundredths <= WHOLE)
        .map(Percent)
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (units, decimals) = (self.0 / 100, self.0 % 100);
        match decimals {
            0 => write!(f, "{units}%"),
            _ if decimals.is_multiple_of(10) => write!(f, "{units}.{}%", decimals / 10),
            _ => write!(f, "{units}.{decimals:02}%"),
        }
    }
}

impl TryFrom<String> for Percent {
    type Error = PercentError;

    fn try_from(text: String) -> Result<Self, PercentError> {
        text.parse()
    }
}

impl From<Percent> for String {
    fn from(percent: Percent) -> Self {
        percent.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn percent(text: &str) -> Percent {
        text.parse().unwrap()
    }

    #[test]
    fn only_shares_of_a_whole_are_taken() {
        for (text, shown) in [
            ("0%", "0%"),
            ("7%", "7%"),
            ("2.5%", "2.5%"),
            ("2.50%", "2.5%"),
            ("0.05%", "0.05%"),
            ("100.00%", "100%"),
        ] {
            assert_eq!(percent(text).to_string(), shown);
        }
        for text in [
            "", "%", "5", "-1%", "+1%", "101%", "100.01%", "1.234%", ".5%", "5.%", "5 %", "99999%",
        ] {
            assert!(text.parse::<Percent>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_threshold_of_nothing_covers_nothing_and_one_of_all_is_reached_by_all() {
        assert!(Percent::ZERO.covers(0, 10) && !Percent::ZERO.covers(1, u64::MAX));
        assert!(Percent::ALL.is_reached(10, 10) && !Percent::ALL.is_reached(9, 10));
        assert!(percent("10%").covers(1, 10) && percent("10%").is_reached(1, 10));
        assert_eq!((percent("10%").of(1), percent("10%").of(0)), (1, 0));
        assert_eq!(Percent::ALL.of(u64::MAX), u64::MAX);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(hundredths in 0..=WHOLE) {
            let percent = Percent(hundredths);
            prop_assert_eq!(percent.to_string().parse(), Ok(percent));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            let _ = text.parse::<Percent>();
        }

        #[test]
        fn the_share_of_a_whole_reaches_the_threshold_and_one_less_does_not(
            hundredths in 1..=WHOLE,
            whole in 1..u64::MAX,
        ) {
            let percent = Percent(hundredths);
            let share = percent.of(whole);
            prop_assert!(1 <= share && share <= whole);
            prop_assert!(percent.is_reached(share, whole));
            prop_assert!(!percent.is_reached(share - 1, whole) && percent.covers(share - 1, whole));
        }
    }
}
