//! Tasks of programs that misbehave on demand, and what must become of them.

use std::fmt;

/// How often a task of a program is run at most.
pub const ATTEMPTS: u64 = 2;

/// What a program does with a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wild {
    /// It fails in the first attempt only.
    Flaky,
    /// It fails.
    Stumble,
    /// It fails, and says that another attempt is of no use.
    Refuse,
    /// It never ends, and neither does what it started.
    Stall,
    /// It never ends, and does not hear when it is told to.
    Stubborn,
    /// It writes more than it may.
    Flood,
    /// It kills itself.
    Crash,
    /// It succeeds, and leaves a process behind that holds its pipes open.
    Orphan,
    /// It writes what is no answer.
    Babble,
}

impl Wild {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Flaky,
        Self::Stumble,
        Self::Refuse,
        Self::Stall,
        Self::Stubborn,
        Self::Flood,
        Self::Crash,
        Self::Orphan,
        Self::Babble,
    ];

    /// Whether an outcome, whose value must be `tag`, may be what such a task comes to.
    #[must_use]
    pub fn is_right(self, tag: &str, outcome: Result<&[u8], &str>) -> bool {
        let one_of =
            |words: &[&str]| outcome.is_err_and(|error| words.iter().any(|word| error.contains(word)));
        match self {
            Self::Flaky | Self::Orphan => outcome == Ok(tag.as_bytes()),
            Self::Stumble => one_of(&["exit status 3", "stumbled"]),
            Self::Refuse => one_of(&["exit status 77", "refused"]),
            Self::Stall | Self::Stubborn => one_of(&["took longer than"]),
            Self::Flood => one_of(&["output_max"]),
            Self::Crash => one_of(&["SIGKILL"]),
            // Of a command there are no answers that are none.
            Self::Babble => one_of(&["garbage", "exit status 3"]),
        }
    }

    /// Whether it may have been recorded after so many attempts.
    #[must_use]
    pub fn may_take(self, attempts: u64) -> bool {
        match self {
            Self::Stumble | Self::Stall | Self::Stubborn | Self::Crash | Self::Babble | Self::Flaky => {
                attempts == ATTEMPTS
            }
            // A machine that stands still for a while may make any attempt fail.
            Self::Refuse | Self::Flood | Self::Orphan => (1..=ATTEMPTS).contains(&attempts),
        }
    }
}

impl fmt::Display for Wild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flaky => "flaky",
            Self::Stumble => "stumble",
            Self::Refuse => "refuse",
            Self::Stall => "stall",
            Self::Stubborn => "stubborn",
            Self::Flood => "flood",
            Self::Crash => "crash",
            Self::Orphan => "orphan",
            Self::Babble => "babble",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_has_its_own_error_or_its_value_and_nothing_else() {
        for wild in Wild::ALL {
            let succeeds = matches!(wild, Wild::Flaky | Wild::Orphan);
            assert_eq!(wild.is_right("tag", Ok(b"tag")), succeeds, "{wild}");
            assert!(!wild.is_right("tag", Ok(b"other")), "{wild}");
            assert!(!wild.is_right("tag", Err("the worker is unwell")), "{wild}");
        }
        assert!(Wild::Crash.is_right("tag", Err("the worker ended: signal: 9 (SIGKILL)")));
        assert!(!Wild::Stall.is_right("tag", Err("the worker ended: signal: 9 (SIGKILL)")));
    }

    #[test]
    fn what_fails_is_tried_as_often_as_it_may_be_and_no_more() {
        for wild in Wild::ALL {
            assert!(!wild.may_take(0) && !wild.may_take(ATTEMPTS + 1), "{wild}");
            let gives_up_at_once = matches!(wild, Wild::Refuse | Wild::Flood | Wild::Orphan);
            assert_eq!(wild.may_take(1), gives_up_at_once, "{wild}");
        }
    }
}
