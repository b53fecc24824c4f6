//! What a submitter decides by.
//!
//! ```text
//!  push … push      the list in:<token> grows, and expires unless somebody looks after it
//!       │
//!  known?  ───────► the store remembers the id: somebody else's is "already submitted", this token's is success
//!       │ nothing
//!  create ────────► the znode is there already: "already submitted";  unclear and absent: ask the store again
//!       │
//!  open  ─────────► open, gone: success;  missing, stale: take the job back, report the failure
//! ```
//!
//! The znode makes a job visible, the answer to `open` makes it safe: the tasks have become the job's own and expire no
//! more. So success is reported only after `open` has answered, and a job whose tasks were gone by then is taken back
//! rather than left for somebody to find.

use std::fmt::Write as _;

use crate::{
    JobData, JobEntry, JobId, JobState, NameError, QueueName, Token,
    store::{Meta, MetaState, Open},
};

/// Longest id that can be the stem of numbered ones, in bytes: it leaves room for a dash and ten digits.
pub const STEM_BYTES_MAX: usize = 53;

/// What the store remembers of an id, to somebody who is about to create a job of that id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Known {
    /// Nothing: create it.
    Nothing,
    /// This very submission. The znode was created by an attempt whose reply got lost, and the job is open or done.
    Ours,
    /// Another submission, whose job stands in the store.
    Open,
    /// Another submission, whose job has left the store.
    Done,
}

impl Known {
    /// Judges what `meta` says of the id, if anything, for the submission attempt `token`.
    #[must_use]
    pub fn judge(meta: Option<&Meta>, token: &Token) -> Self {
        match meta {
            None => Self::Nothing,
            Some(meta) if meta.source.as_str() == token.as_str() => Self::Ours,
            Some(meta) if meta.state == MetaState::Open => Self::Open,
            Some(_) => Self::Done,
        }
    }
}

/// What became of a job that was created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// It is safe in the store, or already done: success.
    Safe,
    /// It is not, and never will be, for this reason: take it back.
    Failed(String),
}

impl Opened {
    /// Judges the answer to `open` for a job of `count` tasks, all of which were pushed.
    #[must_use]
    pub fn judge(reply: &Open, count: u64) -> Self {
        match reply {
            Open::Open | Open::Gone => Self::Safe,
            Open::Stale => Self::Failed("another job of this id has taken its place meanwhile".to_owned()),
            Open::Missing(0) => Self::Failed(
                "its tasks have expired: the submitter was held up for longer than [submitter] staging_ttl, or redis \
                 lost them"
                    .to_owned(),
            ),
            Open::Missing(left) => Self::Failed(format!("redis has {left} of its {count} tasks")),
        }
    }
}

/// How to take back a job that could not be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Withdrawal {
    /// Write this over what was read.
    Write(JobData),
    /// There is nothing to take back: it was cancelled, or declared lost.
    Moot,
    /// It is no more, and nobody can tell why: delivered jobs are deleted, and so are cancelled ones.
    Gone,
    /// It cannot be taken back any more: its outcomes are delivered.
    TooLate,
}

impl Withdrawal {
    /// Judges the job that was created as `created`, by what stands there `now`.
    #[must_use]
    pub fn judge(created: &JobEntry, now: Option<&JobEntry>) -> Self {
        match now {
            Some(now) if now.life == created.life => match now.data.state {
                JobState::Submitted | JobState::Processed | JobState::Zipped => {
                    Self::Write(now.data.in_state(JobState::Cancelled))
                }
                JobState::Uploaded => Self::TooLate,
                JobState::Cancelled | JobState::Lost => Self::Moot,
            },
            _ => Self::Gone,
        }
    }
}

/// In what the job that stands there differs from the one that was to be submitted under the same id; `None` when in
/// nothing that the ledger knows of.
#[must_use]
pub fn difference(wanted: &JobData, found: &JobData) -> Option<String> {
    let mut text = String::new();
    if wanted.count != found.count {
        let _ = write!(text, "it has {} tasks, not {}", found.count, wanted.count);
    }
    if wanted.queue != found.queue {
        let joint = if text.is_empty() { "it is" } else { ", and is" };
        let _ = write!(text, "{joint} in queue {}, not {}", found.queue, wanted.queue);
    }
    if wanted.ties.group != found.ties.group {
        let joint = if text.is_empty() { "it is" } else { ", and is" };
        let _ = match &found.ties.group {
            Some(group) => write!(text, "{joint} in group {group}"),
            None => write!(text, "{joint} in no group"),
        };
    }
    (!text.is_empty()).then_some(text)
}

/// The id of the `number`th job, counted from 1, of an input that is cut into jobs: `<stem>-0001`. The same input cut
/// at the same size gives the same ids, so submitting it again changes nothing.
///
/// # Errors
/// When `stem` is longer than [`STEM_BYTES_MAX`] and the number does not fit.
pub fn numbered(stem: &JobId, number: u64) -> Result<JobId, NameError> {
    JobId::new(format!("{stem}-{number:04}"))
}

/// Where the payloads of a delivered job's failed tasks are kept, so that they can be submitted again.
///
/// They are a list below the keys of the job, like that of a submission attempt, under a fresh token for each attempt to
/// deliver. When the znode is gone, a list of two items under [`Token::of_failed`] names the one that counts. Both live
/// as long as the tombstone. Unless the list has as many items as tasks failed, it is worth nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// In which queue the tasks were.
    pub queue: QueueName,
    /// Under which token their payloads stand, in their order.
    pub list: Token,
}

impl Kept {
    /// With what all these tokens begin, and no token of a submitter does.
    pub const PREFIX: &str = "failed-";

    /// How it stands in the store.
    #[must_use]
    pub fn items(&self) -> [Vec<u8>; 2] {
        [self.queue.as_str(), self.list.as_str()].map(|item| item.as_bytes().to_vec())
    }

    /// Reads it; `None` when the items are none of such a list.
    #[must_use]
    pub fn parse(items: &[Vec<u8>]) -> Option<Self> {
        let [queue, list] = items else { return None };
        let text = |item: &[u8]| String::from_utf8_lossy(item).into_owned();
        Some(Self {
            queue: QueueName::new(text(queue)).ok()?,
            list: Token::new(text(list)).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GroupName, Source, Zxid};

    fn token(text: &str) -> Token {
        Token::new(text).unwrap()
    }

    fn meta(state: MetaState, source: Source) -> Meta {
        Meta {
            life: Zxid::new(7),
            state,
            source,
            count: 3,
            cursor: 0,
            committed: 0,
            failed: 0,
            conclusion: None,
            last: None,
        }
    }

    fn entry(data: &str, life: u64) -> JobEntry {
        JobEntry {
            data: JobData::parse(data.as_bytes()).unwrap(),
            life: Zxid::new(life),
            version: 0,
            created_ms: 0,
        }
    }

    #[test]
    fn an_id_that_the_store_remembers_is_not_created_again() {
        let mine = token("mine");
        let staged = |text: &str| Source::Staged(token(text));
        assert_eq!(Known::judge(None, &mine), Known::Nothing);
        for (state, source, known) in [
            (MetaState::Open, staged("mine"), Known::Ours),
            (MetaState::Gone, staged("mine"), Known::Ours),
            (MetaState::Open, staged("other"), Known::Open),
            (MetaState::Gone, staged("other"), Known::Done),
            (MetaState::Gone, Source::Plain, Known::Done),
        ] {
            assert_eq!(Known::judge(Some(&meta(state, source)), &mine), known);
        }
    }

    #[test]
    fn only_a_job_that_was_opened_is_a_success() {
        assert_eq!(Opened::judge(&Open::Open, 3), Opened::Safe);
        assert_eq!(Opened::judge(&Open::Gone, 3), Opened::Safe);
        for (reply, reason) in [
            (Open::Stale, "another job of this id"),
            (Open::Missing(0), "its tasks have expired"),
            (Open::Missing(2), "redis has 2 of its 3 tasks"),
        ] {
            let Opened::Failed(why) = Opened::judge(&reply, 3) else {
                panic!("{reply:?} is no success");
            };
            assert!(why.starts_with(reason), "{why}");
        }
    }

    #[test]
    fn a_job_is_taken_back_in_every_state_before_its_delivery_and_only_in_its_own_life() {
        let created = entry("subm=3;queue=primes;from=t", 7);
        for state in ["subm", "prcd", "zpd"] {
            let now = entry(&format!("{state}=3;queue=primes;from=t"), 7);
            let Withdrawal::Write(data) = Withdrawal::judge(&created, Some(&now)) else {
                panic!("{state} can be taken back");
            };
            assert_eq!(data.to_string(), "cncl=3;queue=primes;from=t");
        }
        let judge = |data: &str, life| Withdrawal::judge(&created, Some(&entry(data, life)));
        assert_eq!(judge("uploaded=3", 7), Withdrawal::TooLate);
        assert_eq!(judge("cncl=3", 7), Withdrawal::Moot);
        assert_eq!(judge("lost=3", 7), Withdrawal::Moot);
    }

    #[test]
    fn nobody_can_tell_of_a_job_that_is_gone_whether_it_was_delivered() {
        let created = entry("subm=3;queue=primes;from=t", 7);
        let next = entry("subm=3", 8);
        assert_eq!(Withdrawal::judge(&created, Some(&next)), Withdrawal::Gone);
        assert_eq!(Withdrawal::judge(&created, None), Withdrawal::Gone);
    }

    #[test]
    fn a_resubmission_that_is_not_the_same_says_in_what() {
        let job = |text: &str| JobData::parse(text.as_bytes()).unwrap();
        let wanted = JobData::submitted(3, QueueName::default_queue(), Source::Staged(token("t")));
        assert_eq!(difference(&wanted, &job("prcd=3;from=other")), None);
        assert_eq!(
            difference(&wanted, &job("subm=4")).as_deref(),
            Some("it has 4 tasks, not 3")
        );
        assert_eq!(
            difference(&wanted, &job("subm=4;queue=primes")).as_deref(),
            Some("it has 4 tasks, not 3, and is in queue primes, not default")
        );
        assert_eq!(
            difference(&wanted, &job("subm=3;queue=primes")).as_deref(),
            Some("it is in queue primes, not default")
        );
        let member = wanted.clone().in_group(GroupName::new("g").unwrap());
        assert_eq!(difference(&member, &wanted).as_deref(), Some("it is in no group"));
        assert_eq!(difference(&wanted, &member).as_deref(), Some("it is in group g"));
    }

    #[test]
    fn where_failed_tasks_are_kept_is_read_as_it_is_written() {
        let kept = Kept {
            queue: QueueName::new("primes").unwrap(),
            list: token("failed-7"),
        };
        assert_eq!(Kept::parse(&kept.items()), Some(kept));
        assert_eq!(Kept::parse(&[]), None);
        assert_eq!(Kept::parse(&[b"primes".to_vec(), b"\xff".to_vec()]), None);
    }

    #[test]
    fn numbered_ids_are_the_same_each_time_and_sort_by_number() {
        let stem = JobId::new("nightly").unwrap();
        assert_eq!(numbered(&stem, 1).unwrap().as_str(), "nightly-0001");
        assert_eq!(numbered(&stem, 12_345).unwrap().as_str(), "nightly-12345");
        let longest = JobId::new("a".repeat(STEM_BYTES_MAX)).unwrap();
        assert!(numbered(&longest, 9_999_999_999).is_ok());
    }
}
