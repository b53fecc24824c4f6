//! Groups: jobs that one job may follow when all of them are done.
//!
//! ```text
//! groups/<G>               open;queue=<q> ─► closed;queue=<q> ─► joined;queue=<q>;then=<id>,… ─► deleted
//! groups/<G>/pending/<id>  a member that is not done      created with its job
//! groups/<G>/done/<id>     a member that is               in one transaction with the deletion of pending/<id>
//! ```
//!
//! A submitter makes the group, adds a job to it in the transaction that creates the job, and closes it with the last one.
//! A watcher that has delivered a member, or dropped a cancelled one, moves it to `done` before it deletes the job; if the
//! group is closed then and nothing is pending, it joins: it creates the jobs that follow in the transaction that says
//! `joined`. So the job that finds the group complete is there until the group is joined, and whoever resumes that job
//! finds the same.

use std::fmt;

use crate::{
    JobId, NameError, QueueName, Zxid,
    job::FOLLOW_UPS_MAX,
    job::text::{joined, list},
};

/// Longest data of a done member, in bytes.
pub const DONE_BYTES_MAX: usize = 64 * 1024;

/// Longest data of a group that is looked at, in bytes.
const TEXT_BYTES_MAX: usize = 4096;

/// How far a group has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupState {
    /// Jobs may be added.
    Open,
    /// It has all its jobs.
    Closed,
    /// All of them were done, and what follows them is created. What is left is to clean up.
    Joined,
}

impl GroupState {
    /// All states, in the order of a group's life.
    pub const ALL: [Self; 3] = [Self::Open, Self::Closed, Self::Joined];

    /// The word in the znode.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Joined => "joined",
        }
    }
}

impl fmt::Display for GroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why znode data is not a group's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupDataError {
    /// Too long, not UTF-8, or with control characters.
    #[error("is not a line of text of at most {TEXT_BYTES_MAX} bytes")]
    NotText,
    /// Does not begin with a state.
    #[error("begins with {0:?} instead of open, closed or joined")]
    State(String),
    /// A part without `=`, or an empty or doubled key.
    #[error("has the part {0:?}, which is not a new key=value")]
    Part(String),
    /// A queue or id that is no name.
    #[error("has a bad {0}: {1}")]
    Name(&'static str, #[source] NameError),
    /// Names no queue.
    #[error("does not name the queue of its jobs")]
    NoQueue,
}

/// The data of a group's znode: `<state>;queue=<queue>[;key=value]…`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupData {
    /// How far it has come.
    pub state: GroupState,
    /// The queue of all its jobs.
    pub queue: QueueName,
    /// What follows, when it is joined. At most [`FOLLOW_UPS_MAX`].
    pub then: Vec<JobId>,
    /// Keys that this version does not know, with their values.
    pub unknown: Vec<(String, String)>,
}

impl GroupData {
    /// A group as the submitter of its first job creates it.
    #[must_use]
    pub const fn open(queue: QueueName) -> Self {
        Self {
            state: GroupState::Open,
            queue,
            then: Vec::new(),
            unknown: Vec::new(),
        }
    }

    /// The same group with its last job.
    #[must_use]
    pub fn closed(&self) -> Self {
        Self {
            state: GroupState::Closed,
            ..self.clone()
        }
    }

    /// The same group, followed by these jobs.
    #[must_use]
    pub fn joined(&self, then: Vec<JobId>) -> Self {
        debug_assert!(then.len() <= FOLLOW_UPS_MAX, "{then:?}");
        Self {
            state: GroupState::Joined,
            then,
            ..self.clone()
        }
    }

    /// Reads the data of a group's znode.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(data: &[u8]) -> Result<Self, GroupDataError> {
        let text = std::str::from_utf8(data).map_err(|_| GroupDataError::NotText)?;
        if text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control) {
            return Err(GroupDataError::NotText);
        }
        let mut parts = text.split(';');
        let word = parts.next().unwrap_or_default();
        let state = GroupState::ALL
            .into_iter()
            .find(|state| state.as_str() == word)
            .ok_or_else(|| GroupDataError::State(excerpt(word)))?;
        let (mut queue, mut then, mut unknown) = (None, Vec::new(), Vec::new());
        let mut seen = Vec::new();
        for part in parts {
            let (key, value) = part
                .split_once('=')
                .filter(|(key, _)| !key.is_empty() && !seen.contains(key))
                .ok_or_else(|| GroupDataError::Part(excerpt(part)))?;
            seen.push(key);
            match key {
                "queue" => queue = Some(QueueName::new(value).map_err(name("queue"))?),
                "then" => then = list(value, JobId::new).map_err(name("then"))?,
                _ => unknown.push((key.to_owned(), value.to_owned())),
            }
        }
        Ok(Self {
            state,
            queue: queue.ok_or(GroupDataError::NoQueue)?,
            then,
            unknown,
        })
    }
}

impl fmt::Display for GroupData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};queue={}", self.state, self.queue)?;
        if let Some(then) = joined(&self.then) {
            write!(f, ";then={then}")?;
        }
        self.unknown
            .iter()
            .try_for_each(|(key, value)| write!(f, ";{key}={value}"))
    }
}

fn name(key: &'static str) -> impl Fn(NameError) -> GroupDataError {
    move |error| GroupDataError::Name(key, error)
}

fn excerpt(text: &str) -> String {
    text.chars().take(60).collect()
}

/// A group as a read of its znode showed it: what a versioned write builds on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupEntry {
    /// What the znode says.
    pub data: GroupData,
    /// Its creation zxid: which life of the name this is.
    pub life: Zxid,
    /// The data's version.
    pub version: i32,
}

/// What a watcher does about the group of a job that it has moved to `done`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GroupStep {
    /// Nothing: jobs are pending or may yet be added, and the last of them will look again.
    Leave,
    /// Create what follows.
    Join,
    /// What follows was created: open it, and take the group's znodes away.
    CleanUp,
}

impl GroupStep {
    /// The step for a group that looks like `group`, and of which `pending` members were not done when that was read or
    /// later.
    ///
    /// The order matters: a group that was seen closed gets no more members, so none that are pending later are none
    /// for ever.
    #[must_use]
    pub const fn of(group: &GroupData, pending: usize) -> Self {
        match (group.state, pending) {
            (GroupState::Closed, 0) => Self::Join,
            (GroupState::Open | GroupState::Closed, _) => Self::Leave,
            (GroupState::Joined, _) => Self::CleanUp,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn group(text: &str) -> GroupData {
        GroupData::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_group_says_in_a_line_how_far_it_has_come() {
        let open = GroupData::open(QueueName::new("words").unwrap());
        assert_eq!(open.to_string(), "open;queue=words");
        assert_eq!(open.closed().to_string(), "closed;queue=words");
        let then = ["a", "b"].map(|id| JobId::new(id).unwrap()).to_vec();
        assert_eq!(
            open.closed().joined(then).to_string(),
            "joined;queue=words;then=a,b"
        );
        let newer = group("closed;queue=words;colour=red");
        assert_eq!(
            newer.joined(Vec::new()).to_string(),
            "joined;queue=words;colour=red"
        );
    }

    #[test]
    fn a_group_is_joined_when_it_is_closed_and_nothing_is_pending() {
        for (text, pending, step) in [
            ("open;queue=q", 0, GroupStep::Leave),
            ("open;queue=q", 1, GroupStep::Leave),
            ("closed;queue=q", 1, GroupStep::Leave),
            ("closed;queue=q", 0, GroupStep::Join),
            ("joined;queue=q", 0, GroupStep::CleanUp),
            ("joined;queue=q;then=a", 1, GroupStep::CleanUp),
        ] {
            assert_eq!(
                GroupStep::of(&group(text), pending),
                step,
                "{text}, {pending} pending"
            );
        }
    }

    #[test]
    fn data_of_other_programs_is_refused_with_a_reason() {
        for (data, reason) in [
            (&b""[..], "begins with"),
            (b"subm=1", "begins with"),
            (b"open", "does not name"),
            (b"open;queue", "has the part"),
            (b"open;queue=a;queue=b", "has the part"),
            (b"open;queue=a/b", "has a bad queue"),
            (b"joined;queue=a;then=", "has a bad then"),
            (b"\xff", "is not a line"),
            (&[b'a'; 5000], "is not a line"),
        ] {
            let error = GroupData::parse(data).unwrap_err().to_string();
            assert!(error.starts_with(reason), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_data_makes_the_parser_panic_and_what_it_takes_it_writes_again(
            text in "(open|closed|joined);queue=[a-z]{1,4}(;[a-z]{1,5}=[ -:<-~]{0,9}){0,3}|.*"
        ) {
            if let Ok(group) = GroupData::parse(text.as_bytes()) {
                prop_assert_eq!(GroupData::parse(group.to_string().as_bytes()), Ok(group));
            }
        }
    }
}
