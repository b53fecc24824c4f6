//! Until when the tasks of a job may run, as it is said on the command line.

use std::{
    str::FromStr,
    time::{Duration, UNIX_EPOCH},
};

use anyhow::bail;
use humantime_serde::re::humantime;

/// A moment to come, counted from the start of the program or from 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deadline {
    /// So long after the start.
    After(Duration),
    /// So long after the beginning of 1970, UTC.
    At(Duration),
}

impl FromStr for Deadline {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(after) = humantime::parse_duration(text) {
            return Ok(Self::After(after));
        }
        let at = humantime::parse_rfc3339_weak(text)
            .ok()
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        at.map(Self::At).ok_or_else(|| {
            "neither a time from now on, as in 10m, nor a moment in UTC, as in 2030-01-31T18:00:00Z"
                .to_owned()
        })
    }
}

impl Deadline {
    /// The moment in milliseconds since 1970, for a program that started at `now`.
    ///
    /// # Errors
    /// When it is not to come any more.
    pub(crate) fn resolve(self, now: Duration) -> anyhow::Result<u64> {
        let at = match self {
            Self::After(after) => now.saturating_add(after),
            Self::At(at) => at,
        };
        if at <= now {
            bail!("--deadline lies in the past: no task of the job could be run");
        }
        Ok(u64::try_from(at.as_millis()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_800_000_000);

    fn resolve(text: &str) -> Result<u64, String> {
        let deadline: Deadline = text.parse()?;
        deadline.resolve(NOW).map_err(|error| error.to_string())
    }

    #[test]
    fn a_deadline_is_a_time_from_now_on_or_a_moment() {
        assert_eq!(resolve("10m"), Ok(1_800_000_600_000));
        assert_eq!(resolve("1h 30s"), Ok(1_800_003_630_000));
        for text in ["2027-01-15T08:00:01Z", "2027-01-15 08:00:01"] {
            assert_eq!(resolve(text), Ok(1_800_000_001_000));
        }
    }

    #[test]
    fn what_is_over_or_no_time_at_all_is_refused() {
        for text in ["0s", "2027-01-15T08:00:00Z", "1999-12-31T23:59:59Z"] {
            assert!(resolve(text).unwrap_err().contains("in the past"), "{text}");
        }
        for text in ["10", "tomorrow", "", "-5m", "1969-12-31T23:59:59Z"] {
            assert!(resolve(text).unwrap_err().contains("as in 10m"), "{text}");
        }
    }
}
