//! Where things stand in Redis.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `<prefix>{<id>}:in:<token>` | list, expires | one submission attempt |
//! | `<id>` | list | a plain submission, pushed by any program |
//! | `<prefix>{<id>}:meta` | hash | `J`, `source`, `n`, `state`, `cursor`, `committed`, `failed`, and `dead:<holder>` for each death that counted |
//! | `<prefix>{<id>}:tasks` | list | the payloads, by index |
//! | `<prefix>{<id>}:leases` | hash | holder → `lo:hi:attempts,…` |
//! | `<prefix>{<id>}:freed` | list | ranges that were given back, `lo:hi:attempts` |
//! | `<prefix>{<id>}:results` | hash | `lo` → `upto:` and the packed outcomes of `[lo, upto)` |
//! | `<prefix>rate:{<queue>}` | hash, expires | a queue's bucket of tokens: `parts`, `per`, `at` |
//! | `<prefix>run:batches` | hash | id of a batch that a submitter took out of a list or stream → its queue |
//! | `<prefix>run:batch:<id>` | list | the payloads of that batch, until they are a job |
//! | `<prefix>sink:{<key>}:<id>.<life>` | string, expires | how many entries of a result are in the list or stream `<key>` |
//! | `<prefix>ledger` | string | the creation zxid of `<root>/jobs`: to which ledger this store belongs |
//!
//! A plain list's whole key is the id, and the id stands in braces in all the others: one hash slot a job.

use crate::{JobId, QueueName, Token, Zxid};

/// Why a text cannot be the prefix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a key prefix has no braces and no control characters, unlike {0:?}")]
pub struct PrefixError(String);

/// The keys below one prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyScheme {
    prefix: String,
}

impl KeyScheme {
    /// The scheme with this prefix, which may be empty.
    ///
    /// # Errors
    /// When the prefix holds a brace (it would move the hash slot) or a control character.
    pub fn new(prefix: impl Into<String>) -> Result<Self, PrefixError> {
        let prefix = prefix.into();
        if prefix.chars().any(|c| matches!(c, '{' | '}') || c.is_control()) {
            return Err(PrefixError(prefix));
        }
        Ok(Self { prefix })
    }

    /// The mark that says to which ledger the store belongs.
    #[must_use]
    pub fn ledger_mark(&self) -> String {
        format!("{}ledger", self.prefix)
    }

    /// The bucket of tokens that bounds how fast tasks of this queue begin.
    #[must_use]
    pub fn rate(&self, queue: &QueueName) -> String {
        format!("{}rate:{{{queue}}}", self.prefix)
    }

    /// Where the batches are named that submitters took out of lists and streams.
    #[must_use]
    pub fn run_batches(&self) -> String {
        format!("{}run:batches", self.prefix)
    }

    /// The tasks of one of these batches, which will be the job of this id.
    #[must_use]
    pub fn run_batch(&self, id: &JobId) -> String {
        format!("{}run:batch:{id}", self.prefix)
    }

    /// How many entries of the result of this job are in the list or stream `target`, with which it shares a hash slot: the
    /// part of `target` in braces counts, if there is one, and else all of it.
    #[must_use]
    pub fn sink_mark(&self, target: &str, id: &JobId, life: Zxid) -> String {
        let braced = target.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
        let tag = braced
            .map(|(tag, _)| tag)
            .filter(|tag| !tag.is_empty())
            .unwrap_or(target);
        format!("{}sink:{{{tag}}}:{id}.{life}", self.prefix)
    }

    /// What is known of a job that a sink does not take, a [`SinkTrouble`](crate::trouble::SinkTrouble).
    #[must_use]
    pub fn trouble(&self, id: &JobId) -> String {
        format!("{}{{{id}}}:trouble", self.prefix)
    }

    /// The list that `source` stands for.
    #[must_use]
    pub fn source(&self, id: &JobId, source: &Source) -> String {
        match source {
            Source::Plain => id.as_str().to_owned(),
            Source::Staged(token) => format!("{}{{{id}}}:in:{token}", self.prefix),
        }
    }

    /// All keys of an opened job.
    #[must_use]
    pub fn job(&self, id: &JobId) -> JobKeys {
        let key = |name| format!("{}{{{id}}}:{name}", self.prefix);
        JobKeys {
            meta: key("meta"),
            tasks: key("tasks"),
            leases: key("leases"),
            freed: key("freed"),
            results: key("results"),
        }
    }

    /// A `SCAN` pattern that matches the meta key of every job.
    #[must_use]
    pub fn meta_pattern(&self) -> String {
        let escaped: String = self
            .prefix
            .chars()
            .flat_map(|c| {
                matches!(c, '*' | '?' | '[' | ']' | '\\')
                    .then_some('\\')
                    .into_iter()
                    .chain([c])
            })
            .collect();
        format!("{escaped}{{*}}:meta")
    }

    /// The job whose meta key this is.
    #[must_use]
    pub fn job_of_meta(&self, key: &str) -> Option<JobId> {
        let id = key
            .strip_prefix(&self.prefix)?
            .strip_prefix('{')?
            .strip_suffix("}:meta")?;
        JobId::new(id).ok()
    }
}

/// The keys of one opened job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobKeys {
    /// Hash of the job's counters and state.
    pub meta: String,
    /// List of payloads.
    pub tasks: String,
    /// Hash of holders and their leases.
    pub leases: String,
    /// List of ranges that were given back.
    pub freed: String,
    /// Hash of packed outcomes.
    pub results: String,
}

/// Where a job's tasks were pushed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// A list whose key is the job's id.
    Plain,
    /// The list of one submission attempt.
    Staged(Token),
}

impl Source {
    /// As `meta` and the scripts have it: the token, or nothing for a plain list.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Plain => "",
            Self::Staged(token) => token.as_str(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scheme() -> KeyScheme {
        KeyScheme::new("dj*:").unwrap()
    }

    #[test]
    fn what_is_known_of_a_sink_stands_in_the_slot_of_its_target() {
        let id = JobId::new("abc").unwrap();
        for (target, mark) in [
            ("results", "dj*:sink:{results}:abc.0000000000000007"),
            ("a:{b}:c", "dj*:sink:{b}:abc.0000000000000007"),
        ] {
            assert_eq!(scheme().sink_mark(target, &id, Zxid::new(7)), mark);
        }
    }

    #[test]
    fn all_keys_of_a_job_share_the_tag_that_the_plain_list_is() {
        let id = JobId::new("abc").unwrap();
        let token = Source::Staged(Token::new("t1").unwrap());
        assert_eq!(scheme().source(&id, &Source::Plain), "abc");
        assert_eq!(scheme().source(&id, &token), "dj*:{abc}:in:t1");
        assert_eq!(scheme().job(&id).meta, "dj*:{abc}:meta");
    }

    #[test]
    fn a_meta_key_names_its_job() {
        let id = JobId::new("abc").unwrap();
        assert_eq!(scheme().job_of_meta(&scheme().job(&id).meta), Some(id));
        assert_eq!(scheme().job_of_meta("dj*:{a b}:meta"), None);
        assert_eq!(scheme().job_of_meta("other:{abc}:meta"), None);
        assert_eq!(scheme().meta_pattern(), "dj\\*:{*}:meta");
    }

    #[test]
    fn a_prefix_with_braces_would_move_the_slot() {
        assert!(KeyScheme::new("a{b}").is_err());
        assert!(KeyScheme::new("").is_ok());
    }
}
