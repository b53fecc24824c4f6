//! How many tasks of a queue may begin in a time.

mod bucket;

use std::{fmt, num::NonZeroU32, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

pub use bucket::{Bucket, Limit, PARTS_MAX, Tokens};

/// A bound on how many tasks begin in a time; read and written like `"100/s"`, `"30/min"`, `"5/h"`, or `"unlimited"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Rate {
    /// No bound.
    #[default]
    Unlimited,
    /// So many in each period, on the average.
    Limited {
        /// How many tasks.
        tasks: NonZeroU32,
        /// In what time.
        per: Period,
    },
}

/// The time that a [`Rate`] counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// `s`
    Second,
    /// `min`
    Minute,
    /// `h`
    Hour,
}

/// Why a text is no [`Rate`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// Not of the form.
    #[error("\"{0}\" is no rate such as \"100/s\", \"30/min\" or \"5/h\", nor \"unlimited\"")]
    Form(String),
    /// No task would ever begin.
    #[error("\"{0}\" would let no task begin; `distjobctl pause` stops a queue")]
    Zero(String),
}

impl Period {
    const ALL: [Self; 3] = [Self::Second, Self::Minute, Self::Hour];

    /// How it is written behind the slash.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Second => "s",
            Self::Minute => "min",
            Self::Hour => "h",
        }
    }

    /// How long it is.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_secs(match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3600,
        })
    }
}

impl Rate {
    /// How many tasks may begin at once after a lull when nothing else was said: one second's worth, at least one.
    /// Nothing for [`Rate::Unlimited`].
    #[must_use]
    pub fn usual_burst(self) -> Option<NonZeroU32> {
        match self {
            Self::Unlimited => None,
            Self::Limited { tasks, per } => {
                let seconds = u32::try_from(per.duration().as_secs()).unwrap_or(u32::MAX);
                Some(NonZeroU32::new(tasks.get() / seconds).unwrap_or(NonZeroU32::MIN))
            }
        }
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        if text == "unlimited" {
            return Ok(Self::Unlimited);
        }
        let form = || RateError::Form(text.to_owned());
        let (tasks, unit) = text.split_once('/').ok_or_else(form)?;
        let per = Period::ALL
            .into_iter()
            .find(|per| per.as_str() == unit)
            .ok_or_else(form)?;
        // The parser of integers would take a sign.
        if !tasks.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(form());
        }
        let tasks: u32 = tasks.parse().map_err(|_| form())?;
        let tasks = NonZeroU32::new(tasks).ok_or_else(|| RateError::Zero(text.to_owned()))?;
        Ok(Self::Limited { tasks, per })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlimited => f.write_str("unlimited"),
            Self::Limited { tasks, per } => write!(f, "{tasks}/{}", per.as_str()),
        }
    }
}

impl TryFrom<String> for Rate {
    type Error = RateError;

    fn try_from(text: String) -> Result<Self, RateError> {
        text.parse()
    }
}

impl From<Rate> for String {
    fn from(rate: Rate) -> Self {
        rate.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_rate_of_nothing_is_refused_with_what_to_do_instead() {
        let error = "0/h".parse::<Rate>().unwrap_err().to_string();
        assert!(error.contains("distjobctl pause"), "{error}");
        for text in [
            "",
            "5",
            "/s",
            "5/d",
            "-5/s",
            "+5/s",
            "5 /s",
            "5.5/s",
            "4294967296/s",
            "Unlimited",
        ] {
            let error = text.parse::<Rate>().unwrap_err();
            assert_eq!(error, RateError::Form(text.to_owned()));
        }
    }

    #[test]
    fn the_usual_burst_is_one_seconds_worth_and_at_least_one() {
        let burst = |text: &str| text.parse::<Rate>().unwrap().usual_burst().map(NonZeroU32::get);
        assert_eq!(burst("unlimited"), None);
        assert_eq!(burst("100/s"), Some(100));
        assert_eq!(burst("600/min"), Some(10));
        assert_eq!(burst("5/h"), Some(1));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(tasks in 1..=u32::MAX, per in 0..3_usize) {
            let tasks = NonZeroU32::new(tasks).unwrap();
            let rate = Rate::Limited { tasks, per: Period::ALL[per] };
            prop_assert_eq!(rate.to_string().parse(), Ok(rate));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            let _ = text.parse::<Rate>();
        }
    }
}
