//! Names: jobs, queues, members, submission tokens, groups and sinks.
//!
//! All of them are `[A-Za-z0-9_-]{1,64}`: safe as a znode, as a part of a Redis key, as a file name and on a command
//! line, without any quoting. They are parsed once, at the edge; a value of one of these types is valid.

use std::{fmt, sync::Arc};

use sha2::{Digest, Sha256};

use crate::Zxid;

/// Longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 64;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing there.
    #[error("a {0} must not be empty")]
    Empty(&'static str),
    /// More than [`NAME_BYTES_MAX`] bytes.
    #[error("a {0} has at most {NAME_BYTES_MAX} characters, this one has {1} bytes")]
    TooLong(&'static str, usize),
    /// A character outside the set.
    #[error("a {0} consists of A-Z, a-z, 0-9, '_' and '-', this one has {1:?} at position {2}")]
    Character(&'static str, char, usize),
}

fn validate(what: &'static str, text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty(what));
    }
    if text.len() > NAME_BYTES_MAX {
        return Err(NameError::TooLong(what, text.len()));
    }
    let stranger = text
        .char_indices()
        .find(|(_, c)| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-')));
    match stranger {
        Some((position, c)) => Err(NameError::Character(what, c, position)),
        None => Ok(()),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// Parses a name.
            ///
            /// # Errors
            /// Says which rule of [the module](self) the text breaks, and where.
            pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
                let text = text.into();
                validate($what, &text)?;
                Ok(Self(text.into()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($type), self.0)
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $type {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0.as_ref().to_owned()
            }
        }
    };
}

name! {
    /// The name of a job: of its znode, of its keys, of its result file.
    JobId, "job id"
}

name! {
    /// The name of a kind of work. Executors serve queues, watchers have a pipeline per queue.
    QueueName, "queue name"
}

name! {
    /// The name of a live executor or watcher, fresh for every ZooKeeper session.
    MemberName, "member name"
}

name! {
    /// The name of a place where results go. A queue names the sinks that all must have the result of a job.
    SinkName, "sink name"
}

name! {
    /// One attempt to submit a job. Two submitters of one job id never share a token, so their tasks never mix.
    Token, "submission token"
}

name! {
    /// Jobs that belong together: when all of them are done, one job may follow them all.
    GroupName, "group name"
}

impl SinkName {
    /// The sink of queues that name no other.
    #[must_use]
    pub fn default_sink() -> Self {
        Self("default".into())
    }
}

impl JobId {
    /// The id of the follow-up of job `self` in its life `life` that `step` of its queue asks for: 32 hex digits, the same
    /// on whichever watcher asks.
    #[must_use]
    pub fn follow_up(&self, life: Zxid, step: &str) -> Self {
        descendant(self.as_str(), &[&life.to_string(), "then", step])
    }

    /// The id of the job that runs the failed tasks of job `self` in its life `life` again: 32 hex digits, always the
    /// same, so that asking for it twice makes one job.
    #[must_use]
    pub fn retry(&self, life: Zxid) -> Self {
        descendant(self.as_str(), &[&life.to_string(), "retry"])
    }
}

impl QueueName {
    /// The id of the job that a request for this queue makes under a key of its own choice: 32 hex digits, the same each
    /// time that it is repeated.
    #[must_use]
    pub fn request(&self, key: &str) -> JobId {
        // No other descendant of a name has this word behind it, so the key may have colons.
        descendant(self.as_str(), &["request", key])
    }
}

impl GroupName {
    /// The id of the job that `step` of their queue asks for when all jobs of this group are done, which was created in
    /// the transaction `life`: 32 hex digits, the same on whichever watcher asks.
    #[must_use]
    pub fn joined(&self, life: Zxid, step: &str) -> JobId {
        descendant(self.as_str(), &[&life.to_string(), "joined", step])
    }
}

/// An id that follows from names, none of which has a colon.
fn descendant(from: &str, what: &[&str]) -> JobId {
    let digest = what
        .iter()
        .fold(Sha256::new().chain_update(from), |digest, part| {
            digest.chain_update(":").chain_update(part)
        });
    let hex = digest
        .finalize()
        .iter()
        .take(16)
        .fold(String::with_capacity(32), |mut hex, byte| {
            use fmt::Write as _;
            let _ = write!(hex, "{byte:02x}");
            hex
        });
    JobId(hex.into())
}

impl Token {
    /// Under which token a watcher says where the failed tasks of a job in its life `life` are [kept](crate::submission::Kept).
    /// A later job of the same id keeps its own.
    #[must_use]
    pub fn of_failed(life: Zxid) -> Self {
        Self(format!("failed-{life}").into())
    }
}

impl MemberName {
    /// A name for a member on `host` (any text; what does not fit is replaced or cut) that `unique` makes fresh.
    ///
    /// # Errors
    /// When `unique` itself is no name, or leaves no room: it may have 47 characters.
    pub fn fresh(host: &str, unique: &str) -> Result<Self, NameError> {
        let host: String = host
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .take(16)
            .collect();
        Self::new(if host.is_empty() {
            unique.to_owned()
        } else {
            format!("{host}-{unique}")
        })
    }
}

impl QueueName {
    /// The queue of a job whose znode names none: `default`.
    #[must_use]
    pub fn default_queue() -> Self {
        Self("default".into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_refused_with_the_rule_that_they_break() {
        assert_eq!(JobId::new(""), Err(NameError::Empty("job id")));
        assert_eq!(JobId::new("a".repeat(65)), Err(NameError::TooLong("job id", 65)));
        assert_eq!(
            QueueName::new("a/b"),
            Err(NameError::Character("queue name", '/', 1))
        );
        assert_eq!(
            JobId::new("jöb").unwrap_err().to_string(),
            "a job id consists of A-Z, a-z, 0-9, '_' and '-', this one has 'ö' at position 1"
        );
        assert!(JobId::new("a".repeat(64)).is_ok());
    }

    #[test]
    fn each_life_of_a_job_has_one_retry_and_one_list_of_failed_tasks() {
        let (id, life, later) = (JobId::new("a").unwrap(), Zxid::new(1), Zxid::new(2));
        assert_eq!(id.retry(life), id.retry(life));
        assert_eq!(JobId::new(id.retry(life).as_str()), Ok(id.retry(life)));
        assert_ne!(id.retry(life), id.retry(later));
        assert_ne!(id.retry(life), id.follow_up(life, "retry"));
        assert_ne!(id.retry(life), id.retry(life).retry(life));
        let token = Token::of_failed(life);
        assert_eq!(token.as_str(), "failed-0000000000000001");
        assert_eq!(Token::new(token.as_str()), Ok(token));
    }

    #[test]
    fn a_follow_up_has_its_own_id_for_each_step_and_each_life_of_its_parent() {
        let parent = JobId::new("nightly").unwrap();
        let follow_up = |life, step| parent.follow_up(Zxid::new(life), step);
        let first = follow_up(1, "merge");
        assert_ne!(first, follow_up(2, "merge"));
        assert_ne!(first, follow_up(1, "count"));
        assert_eq!(first, follow_up(1, "merge"));
        let group = GroupName::new("nightly").unwrap();
        assert_ne!(first, group.joined(Zxid::new(1), "merge"));
        assert_eq!(first.as_str().len(), 32);
        assert!(JobId::new(first.as_str()).is_ok());
    }

    #[test]
    fn a_member_name_can_be_made_on_any_host() {
        let name = MemberName::fresh("wörk er.example.org-and-more", "42-0badcafe").unwrap();
        assert_eq!(name.as_str(), "w-rk-er-example--42-0badcafe");
        assert_eq!(MemberName::fresh("", "42").unwrap().as_str(), "42");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic_and_what_it_takes_is_safe(text in any::<String>()) {
            if let Ok(id) = JobId::new(text.clone()) {
                prop_assert_eq!(id.as_str(), text.as_str());
                prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'));
            }
        }
    }
}
