//! How the data of a job is read and written.

use std::fmt;

use super::{DATA_BYTES_MAX, JobData, JobState, TASKS_MAX, TEXT_BYTES_MAX};
use crate::{GroupName, JobId, NameError, QueueName, SinkName, Source, Token};

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
    /// A queue, token, id, group or sink that is no name.
    #[error("has a bad {0}: {1}")]
    Name(&'static str, #[source] NameError),
}

impl JobData {
    /// Reads the data of a job's znode.
    ///
    /// # Errors
    /// Says what is wrong with it: it may well belong to another program.
    pub fn parse(data: &[u8]) -> Result<Self, JobDataError> {
        if data.len() > TEXT_BYTES_MAX {
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
            "queue" => self.queue = name("queue", QueueName::new(value))?,
            "from" => self.source = Source::Staged(name("from", Token::new(value))?),
            "deadline" => self.deadline_ms = Some(numbered("deadline", value, "milliseconds")?),
            "why" => self.why = Some(value.to_owned()),
            "failed" => self.failed = Some(numbered("failed", value, "tasks")?),
            "conclusion" => {
                let conclusion = value
                    .parse()
                    .map_err(|_| JobDataError::Conclusion(excerpt(value)))?;
                self.conclusion = Some(conclusion);
            }
            "kept" => self.kept = Some(name("kept", Token::new(value))?),
            _ if self.take_link(key, value)? => {}
            _ => self.unknown.push((key.to_owned(), value.to_owned())),
        }
        Ok(())
    }

    /// Takes what ties the job to others; whether it is that.
    fn take_link(&mut self, key: &str, value: &str) -> Result<bool, JobDataError> {
        let ties = &mut self.ties;
        match key {
            "parent" => ties.parent = Some(name("parent", JobId::new(value))?),
            "depth" => {
                let depth = numbered("depth", value, "jobs")?;
                ties.depth = u32::try_from(depth).unwrap_or(u32::MAX);
            }
            "joins" => ties.joins = Some(name("joins", GroupName::new(value))?),
            "group" => ties.group = Some(name("group", GroupName::new(value))?),
            "then" => ties.then = name("then", list(value, JobId::new))?,
            "skip" => ties.skip = name("skip", list(value, SinkName::new))?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// What it says beside state and count from the beginning, where that is not what is meant without it.
    fn lasting(&self) -> impl Iterator<Item = (&'static str, String)> {
        let queue = (self.queue != QueueName::default_queue()).then(|| self.queue.to_string());
        let from = match &self.source {
            Source::Staged(token) => Some(token.to_string()),
            Source::Plain => None,
        };
        said([
            ("queue", queue),
            ("from", from),
            ("deadline", self.deadline_ms.map(|deadline| deadline.to_string())),
            ("parent", self.ties.parent.as_ref().map(ToString::to_string)),
            (
                "depth",
                (self.ties.depth > 0).then(|| self.ties.depth.to_string()),
            ),
            ("joins", self.ties.joins.as_ref().map(ToString::to_string)),
            ("group", self.ties.group.as_ref().map(ToString::to_string)),
        ])
    }

    /// What is said of it later, and what a change of state may take away.
    fn changeable(&self) -> impl Iterator<Item = (&'static str, String)> {
        said([
            ("why", self.why.clone()),
            ("failed", self.failed.map(|failed| failed.to_string())),
            (
                "conclusion",
                self.conclusion.map(|conclusion| conclusion.to_string()),
            ),
            ("kept", self.kept.as_ref().map(ToString::to_string)),
            ("then", joined(&self.ties.then)),
            ("skip", joined(&self.ties.skip)),
        ])
    }

    fn changeable_bytes(&self) -> usize {
        let parts = self.changeable();
        let bytes: usize = parts
            .map(|(key, value)| ";=".len() + key.len() + value.len())
            .sum();
        self.state.as_str().len() + bytes
    }
}

impl fmt::Display for JobData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.state, self.count)?;
        self.lasting()
            .chain(self.changeable())
            .try_for_each(|(key, value)| write!(f, ";{key}={value}"))?;
        self.unknown
            .iter()
            .try_for_each(|(key, value)| write!(f, ";{key}={value}"))
    }
}

fn said<const N: usize>(
    parts: [(&'static str, Option<String>); N],
) -> impl Iterator<Item = (&'static str, String)> {
    parts.into_iter().filter_map(|(key, value)| Some((key, value?)))
}

fn name<T>(key: &'static str, parsed: Result<T, NameError>) -> Result<T, JobDataError> {
    parsed.map_err(|error| JobDataError::Name(key, error))
}

/// Names with commas between them; at least one.
pub(crate) fn list<T>(
    text: &str,
    parse: impl Fn(String) -> Result<T, NameError>,
) -> Result<Vec<T>, NameError> {
    text.split(',').map(|name| parse(name.to_owned())).collect()
}

/// What [`list`] reads; nothing of no names.
pub(crate) fn joined<T: AsRef<str>>(names: &[T]) -> Option<String> {
    let names: Vec<_> = names.iter().map(AsRef::as_ref).collect();
    (!names.is_empty()).then(|| names.join(","))
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
