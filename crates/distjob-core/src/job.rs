//! What the znode of a job says: `<state>=<count>[;key=value]…`.
//!
//! `subm=5000` is complete: 5,000 tasks, queue `default`, pushed to the list whose key is the job's id. The keys that
//! distjob knows are:
//!
//! | key | from | says |
//! |---|---|---|
//! | `queue` | submitter | the kind of its work |
//! | `from` | submitter | the token of the submission attempt |
//! | `deadline` | submitter | until when its tasks may run, in milliseconds since 1970 |
//! | `why` | watcher, in `lost` | why it is lost |
//! | `failed` | watcher, in `uploaded` | how many of its tasks failed |
//! | `conclusion` | watcher, in `uploaded` | what that means for the job, a [`Conclusion`] |
//! | `kept` | watcher, in `uploaded` | under which token the failed tasks are [kept](crate::submission::Kept) |
//!
//! Keys that it does not know are kept in place, so that programs of different versions can share a ledger.

use std::fmt;

use crate::{Conclusion, Ending, NameError, QueueName, Source, Token, id::NAME_BYTES_MAX};

/// Most tasks a job can have. Every count stays exact in Lua's doubles.
pub const TASKS_MAX: u64 = 1 << 48;

/// Longest znode data of a job, in bytes, beside its state and what is said of it in the end: these change, and what is a
/// job when it is submitted must be one until its end.
pub const DATA_BYTES_MAX: usize = 4096;

/// Longest reason why a job is lost, in characters.
const WHY_CHARS_MAX: usize = 200;

/// Longest znode data that is looked at, in bytes: with the longest state, reason and conclusion.
const LOOKED_AT_BYTES_MAX: usize = DATA_BYTES_MAX
    + "uploaded;why=;failed=281474976710656;conclusion=partly-failed;kept=".len()
    + NAME_BYTES_MAX
    + 4 * WHY_CHARS_MAX;

/// How far a job has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobState {
    /// `subm`: executors may take its tasks.
    Submitted,
    /// `prcd`: a watcher should look at it. No more than that.
    Processed,
    /// `zpd`: its archive is durable.
    Zipped,
    /// `uploaded`: every sink has it; what is left is to clean up.
    Uploaded,
    /// `cncl`: an operator, or its own submitter, gave it up.
    Cancelled,
    /// `lost`: Redis lost its data. Stays until an operator decides.
    Lost,
}

impl JobState {
    /// All states, in the order of a job's life.
    pub const ALL: [Self; 6] = [
        Self::Submitted,
        Self::Processed,
        Self::Zipped,
        Self::Uploaded,
        Self::Cancelled,
        Self::Lost,
    ];

    /// The word in the znode.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Submitted => "subm",
            Self::Processed => "prcd",
            Self::Zipped => "zpd",
            Self::Uploaded => "uploaded",
            Self::Cancelled => "cncl",
            Self::Lost => "lost",
        }
    }

    /// Whether a watcher has something to do for a job in this state.
    #[must_use]
    pub const fn is_for_watchers(self) -> bool {
        matches!(
            self,
            Self::Processed | Self::Zipped | Self::Uploaded | Self::Cancelled
        )
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why znode data is not a job's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobDataError {
    /// Longer than [`DATA_BYTES_MAX`] allows.
    #[error("has {0} bytes, a job's data has at most {DATA_BYTES_MAX}")]
    TooLong(usize),
    /// Not UTF-8, or with control characters.
    #[error("is not printable text")]
    NotText,
    /// No `<state>=<count>` in front.
    #[error("begins with {0:?} instead of <state>=<count>, for example subm=5000")]
    Head(String),
    /// A word that is no state.
    #[error("has the state {0:?}, which is none of subm, prcd, zpd, uploaded, cncl, lost")]
    State(String),
    /// Not a number of tasks.
    #[error("has the count {0:?}, which is no number from 0 to {TASKS_MAX}")]
    Count(String),
    /// A part without `=`, or an empty or doubled key.
    #[error("has the part {0:?}, which is not a new key=value")]
    Part(String),
    /// A moment or a number that is none.
    #[error("has the {0} {1:?}, which is no number of {2}")]
    Number(&'static str, String, &'static str),
    /// A word that is no conclusion.
    #[error("has the conclusion {0:?}, which is none of succeeded, partly-failed, failed, cancelled")]
    Conclusion(String),
    /// A queue or token that is no name.
    #[error("has a bad {0}: {1}")]
    Name(&'static str, #[source] NameError),
}

/// The data of a job's znode.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JobData {
    /// How far it has come.
    pub state: JobState,
    /// How many tasks it has.
    pub count: u64,
    /// The kind of its work.
    pub queue: QueueName,
    /// Where its tasks were pushed.
    pub source: Source,
    /// Until when its tasks may run, in milliseconds since 1970; those that did not end by then have failed.
    pub deadline_ms: Option<u64>,
    /// Why it is lost, when it is.
    pub why: Option<String>,
    /// How many of its tasks failed, when it is uploaded.
    pub failed: Option<u64>,
    /// What became of it, when it is uploaded.
    pub conclusion: Option<Conclusion>,
    /// Where its failed tasks are kept, when it is uploaded and they are.
    pub kept: Option<Token>,
    /// Keys that this version does not know, with their values.
    pub unknown: Vec<(String, String)>,
}

impl JobData {
    /// A job as its submitter creates it.
    #[must_use]
    pub const fn submitted(count: u64, queue: QueueName, source: Source) -> Self {
        Self {
            state: JobState::Submitted,
            count,
            queue,
            source,
            deadline_ms: None,
            why: None,
            failed: None,
            conclusion: None,
            kept: None,
            unknown: Vec::new(),
        }
    }

    /// The same job in another state; what an earlier state said of its end is forgotten.
    #[must_use]
    pub fn in_state(&self, state: JobState) -> Self {
        Self {
            state,
            why: None,
            failed: None,
            conclusion: None,
            kept: None,
            ..self.clone()
        }
    }

    /// The same job, delivered: so many of its tasks failed, that was concluded from it, and there they are kept.
    #[must_use]
    pub fn uploaded(&self, failed: u64, conclusion: Conclusion, kept: Option<Token>) -> Self {
        Self {
            failed: Some(failed),
            conclusion: Some(conclusion),
            kept,
            ..self.in_state(JobState::Uploaded)
        }
    }

    /// How it ended, as far as its data tells: of a job that is cancelled, or uploaded by somebody who said more.
    #[must_use]
    pub fn ending(&self) -> Option<Ending> {
        let ending = |failed, conclusion| Ending {
            count: self.count,
            failed,
            conclusion,
        };
        match self.state {
            JobState::Cancelled => Some(ending(0, Conclusion::Cancelled)),
            JobState::Uploaded => Some(ending(self.failed?, self.conclusion?)),
            _ => None,
        }
    }

    /// The same job, lost. What the data format cannot hold is taken out of `why`, and it is cut at 200 characters.
    #[must_use]
    pub fn lost(&self, why: &str) -> Self {
        let why = why
            .chars()
            .map(|c| if c == ';' || c.is_control() { ',' } else { c })
            .take(WHY_CHARS_MAX)
            .collect();
        Self {
            why: Some(why),
            ..self.in_state(JobState::Lost)
        }
    }

    /// Reads the data of a job's znode.
    ///
    /// # Errors
    /// Says what is wrong with it: it may well belong to another program.
    pub fn parse(data: &[u8]) -> Result<Self, JobDataError> {
        if data.len() > LOOKED_AT_BYTES_MAX {
            return Err(JobDataError::TooLong(data.len()));
        }
        let text = std::str::from_utf8(data).map_err(|_| JobDataError::NotText)?;
        if text.chars().any(char::is_control) {
            return Err(JobDataError::NotText);
        }
        let mut parts = text.split(';');
        let head = parts.next().unwrap_or_default();
        let (state, count) = head
            .split_once('=')
            .ok_or_else(|| JobDataError::Head(excerpt(head)))?;
        let state = JobState::ALL
            .into_iter()
            .find(|known| known.as_str() == state)
            .ok_or_else(|| JobDataError::State(excerpt(state)))?;
        let count = number(count)
            .filter(|count| *count <= TASKS_MAX)
            .ok_or_else(|| JobDataError::Count(excerpt(count)))?;
        let mut job = Self::submitted(count, QueueName::default_queue(), Source::Plain).in_state(state);
        let mut seen = Vec::new();
        for part in parts {
            job.take(part, &mut seen)?;
        }
        if data.len() - job.changeable_bytes() > DATA_BYTES_MAX {
            return Err(JobDataError::TooLong(data.len()));
        }
        Ok(job)
    }

    fn take<'a>(&mut self, part: &'a str, seen: &mut Vec<&'a str>) -> Result<(), JobDataError> {
        let (key, value) = part
            .split_once('=')
            .ok_or_else(|| JobDataError::Part(excerpt(part)))?;
        if key.is_empty() || seen.contains(&key) {
            return Err(JobDataError::Part(excerpt(part)));
        }
        seen.push(key);
        match key {
            "queue" => self.queue = QueueName::new(value).map_err(|e| JobDataError::Name("queue", e))?,
            "from" => {
                let token = Token::new(value).map_err(|e| JobDataError::Name("from", e))?;
                self.source = Source::Staged(token);
            }
            "deadline" => self.deadline_ms = Some(numbered("deadline", value, "milliseconds")?),
            "why" => self.why = Some(value.to_owned()),
            "failed" => self.failed = Some(numbered("failed", value, "tasks")?),
            "conclusion" => {
                let conclusion = value
                    .parse()
                    .map_err(|_| JobDataError::Conclusion(excerpt(value)))?;
                self.conclusion = Some(conclusion);
            }
            "kept" => self.kept = Some(Token::new(value).map_err(|e| JobDataError::Name("kept", e))?),
            _ => self.unknown.push((key.to_owned(), value.to_owned())),
        }
        Ok(())
    }

    /// How many bytes of its data a change of state may take away or add.
    fn changeable_bytes(&self) -> usize {
        let part = |key: &str, value: Option<usize>| value.map_or(0, |value| ";=".len() + key.len() + value);
        self.state.as_str().len()
            + part("why", self.why.as_ref().map(String::len))
            + part("failed", self.failed.map(|failed| failed.to_string().len()))
            + part(
                "conclusion",
                self.conclusion.map(|conclusion| conclusion.as_str().len()),
            )
            + part("kept", self.kept.as_ref().map(|kept| kept.as_str().len()))
    }
}

impl fmt::Display for JobData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.state, self.count)?;
        if self.queue != QueueName::default_queue() {
            write!(f, ";queue={}", self.queue)?;
        }
        if let Source::Staged(token) = &self.source {
            write!(f, ";from={token}")?;
        }
        if let Some(deadline) = self.deadline_ms {
            write!(f, ";deadline={deadline}")?;
        }
        if let Some(why) = &self.why {
            write!(f, ";why={why}")?;
        }
        if let Some(failed) = self.failed {
            write!(f, ";failed={failed}")?;
        }
        if let Some(conclusion) = self.conclusion {
            write!(f, ";conclusion={conclusion}")?;
        }
        if let Some(kept) = &self.kept {
            write!(f, ";kept={kept}")?;
        }
        self.unknown
            .iter()
            .try_for_each(|(key, value)| write!(f, ";{key}={value}"))
    }
}

/// A number in plain digits.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn numbered(key: &'static str, value: &str, of: &'static str) -> Result<u64, JobDataError> {
    number(value).ok_or_else(|| JobDataError::Number(key, excerpt(value), of))
}

fn excerpt(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_bare_count_is_a_complete_job() {
        let job = JobData::parse(b"subm=5000").unwrap();
        assert_eq!(
            job,
            JobData::submitted(5000, QueueName::default_queue(), Source::Plain)
        );
        assert_eq!(job.to_string(), "subm=5000");
    }

    #[test]
    fn all_keys_are_read_and_unknown_ones_survive_a_change_of_state() {
        let text = "subm=7;queue=primes;from=t1;then=later;x=";
        let job = JobData::parse(text.as_bytes()).unwrap();
        assert_eq!(job.source, Source::Staged(Token::new("t1").unwrap()));
        assert_eq!(job.to_string(), text);
        let lost = job.lost("hole at 3; really\n");
        assert_eq!(
            lost.to_string(),
            "lost=7;queue=primes;from=t1;why=hole at 3, really,;then=later;x="
        );
        assert_eq!(JobData::parse(lost.to_string().as_bytes()), Ok(lost.clone()));
        assert_eq!(lost.in_state(JobState::Submitted), job);
    }

    #[test]
    fn a_deadline_stays_and_what_was_concluded_is_said_of_an_uploaded_job_only() {
        let job = JobData::parse(b"prcd=7;deadline=1790000000000;x=1").unwrap();
        assert_eq!(job.deadline_ms, Some(1_790_000_000_000));
        let kept = Some(Token::new("failed-1").unwrap());
        let uploaded = job.uploaded(2, Conclusion::PartlyFailed, kept);
        assert_eq!(
            uploaded.to_string(),
            "uploaded=7;deadline=1790000000000;failed=2;conclusion=partly-failed;kept=failed-1;x=1"
        );
        assert_eq!(
            JobData::parse(uploaded.to_string().as_bytes()),
            Ok(uploaded.clone())
        );
        assert_eq!(uploaded.in_state(JobState::Processed), job);
        let ending = |failed, conclusion| {
            Some(Ending {
                count: 7,
                failed,
                conclusion,
            })
        };
        assert_eq!(uploaded.ending(), ending(2, Conclusion::PartlyFailed));
        let cancelled = job.in_state(JobState::Cancelled);
        assert_eq!(cancelled.ending(), ending(0, Conclusion::Cancelled));
        assert_eq!(
            (job.ending(), job.in_state(JobState::Uploaded).ending()),
            (None, None)
        );
    }

    #[test]
    fn the_longest_job_can_become_lost_and_be_delivered() {
        let longest = format!("subm=1;x={:width$}", "", width = DATA_BYTES_MAX - "=1;x=".len());
        let job = JobData::parse(longest.as_bytes()).unwrap();
        for state in JobState::ALL {
            let later = job.in_state(state);
            assert_eq!(JobData::parse(later.to_string().as_bytes()), Ok(later));
        }
        let lost = job.lost(&"\u{1f980}".repeat(300));
        assert_eq!(JobData::parse(lost.to_string().as_bytes()), Ok(lost));
        let uploaded = job.uploaded(
            TASKS_MAX,
            Conclusion::PartlyFailed,
            Token::new("a".repeat(64)).ok(),
        );
        assert_eq!(JobData::parse(uploaded.to_string().as_bytes()), Ok(uploaded));
        assert!(JobData::parse((longest + " ").as_bytes()).is_err());
    }

    #[test]
    fn data_of_other_programs_is_refused_with_a_reason() {
        for (data, reason) in [
            (&b""[..], "begins with"),
            (b"hello", "begins with"),
            (b"{\"a\":1}", "begins with"),
            (b"done=1", "has the state"),
            (b"subm=", "has the count"),
            (b"subm=-1", "has the count"),
            (b"subm=+1", "has the count"),
            (b"subm=99999999999999999999999", "has the count"),
            (b"subm=1;", "has the part"),
            (b"subm=1;queue=a;queue=b", "has the part"),
            (b"subm=1;queue=a/b", "has a bad queue"),
            (b"subm=1;from=", "has a bad from"),
            (b"subm=1;deadline=tomorrow", "has the deadline"),
            (b"subm=1;deadline=-1", "has the deadline"),
            (b"subm=1;deadline=99999999999999999999", "has the deadline"),
            (b"uploaded=1;failed=", "has the failed"),
            (b"uploaded=1;conclusion=good", "has the conclusion"),
            (b"\xff\xfe", "is not printable"),
            (&[b'a'; 6000], "has 6000 bytes"),
            (format!("subm=1;x={:4096}", "").as_bytes(), "has 4105 bytes"),
        ] {
            let error = JobData::parse(data).unwrap_err().to_string();
            assert!(error.starts_with(reason), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_data_makes_the_parser_panic_and_what_it_takes_it_writes_again(text in "(subm|prcd|lost)=[0-9]{1,6}(;[a-z]{1,5}=[ -:<-~]{0,9}){0,3}|.*") {
            if let Ok(job) = JobData::parse(text.as_bytes()) {
                prop_assert_eq!(JobData::parse(job.to_string().as_bytes()), Ok(job));
            }
        }
    }
}
