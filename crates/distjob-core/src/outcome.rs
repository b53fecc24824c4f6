//! What became of a task, and how the outcomes of a run of tasks are packed.
//!
//! Packed, each outcome is a header and the bytes that it counts. The header is an unsigned LEB128 number: its low two
//! bits are the kind, the others count bytes. Nothing is ever escaped, so values and messages may hold any byte.
//!
//! | kind | what | the bytes |
//! |---|---|---|
//! | 0 | `ok` | value |
//! | 1 | `err` | message |
//! | 2 | `ok` with an account | attempts, µs, value |
//! | 3 | `err` with an account | attempts, µs, length of the message, message, end of stderr |
//!
//! Attempts, µs and the length are LEB128, too; 0 attempts: there is no account, only stderr. A `true` without an
//! account costs five bytes: a job of a million small tasks need not remember how long each took.

mod unpack;

use std::time::Duration;

pub use unpack::{Unpack, UnpackError, unpack};

/// The largest number that is written as LEB128: nine bytes.
const LEB128_MAX: u64 = (1 << 63) - 1;

/// What became of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome<'a> {
    /// The handler's value.
    Ok(&'a [u8]),
    /// Why there is no value: the handler's last error, or that its executors died of it.
    Err(&'a [u8]),
}

impl<'a> Outcome<'a> {
    /// The value or the message.
    #[must_use]
    pub const fn bytes(self) -> &'a [u8] {
        match self {
            Self::Ok(bytes) | Self::Err(bytes) => bytes,
        }
    }

    /// Whether it is an [`Outcome::Err`].
    #[must_use]
    pub const fn is_err(self) -> bool {
        matches!(self, Self::Err(_))
    }

    /// The kind of its plain form.
    const fn kind(self) -> u64 {
        match self {
            Self::Ok(_) => 0,
            Self::Err(_) => 1,
        }
    }
}

/// What it took to come to an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Account {
    /// How often the task was run, the last time included; at least 1.
    pub attempts: u32,
    /// How long the last attempt took. Packed, it is cut to whole µs.
    pub elapsed: Duration,
}

/// An outcome with what is known of how it came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Record<'a> {
    /// What became of the task.
    pub outcome: Outcome<'a>,
    /// What it took; `None` when nobody kept count, as for the smallest of tasks.
    pub account: Option<Account>,
    /// The end of what the failed task wrote to its standard error. An [`Outcome::Ok`] is packed without it.
    pub stderr: &'a [u8],
}

impl<'a> From<Outcome<'a>> for Record<'a> {
    /// A record of nothing but the outcome.
    fn from(outcome: Outcome<'a>) -> Self {
        Self {
            outcome,
            account: None,
            stderr: &[],
        }
    }
}

/// The packed outcomes of a run of tasks, in index order, as they grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    bytes: Vec<u8>,
    count: u64,
    failed: u64,
}

impl Packed {
    /// Appends the outcome of the next task, in its plain form.
    pub fn push(&mut self, outcome: Outcome<'_>) {
        self.header(outcome.kind(), outcome.bytes().len(), outcome.is_err());
        self.bytes.extend_from_slice(outcome.bytes());
    }

    /// Appends the record of the next task: in the plain form where that says it all.
    pub fn push_record(&mut self, record: Record<'_>) {
        let Record { outcome, stderr, .. } = record;
        let stderr = if outcome.is_err() { stderr } else { &[] };
        if record.account.is_none() && stderr.is_empty() {
            return self.push(outcome);
        }
        let mut account = Vec::with_capacity(24);
        put(
            &mut account,
            record.account.map_or(0, |account| u64::from(account.attempts)),
        );
        put(
            &mut account,
            record.account.map_or(0, |account| micros(account.elapsed)),
        );
        if outcome.is_err() {
            put(&mut account, outcome.bytes().len() as u64);
        }
        let length = account.len() + outcome.bytes().len() + stderr.len();
        self.header(outcome.kind() | 2, length, outcome.is_err());
        for part in [&account, outcome.bytes(), stderr] {
            self.bytes.extend_from_slice(part);
        }
    }

    /// Appends the outcomes of the tasks that come next.
    pub fn append(&mut self, next: &Self) {
        self.bytes.extend_from_slice(&next.bytes);
        self.count += next.count;
        self.failed += next.failed;
    }

    fn header(&mut self, kind: u64, length: usize, is_err: bool) {
        put(&mut self.bytes, ((length as u64) << 2) | kind);
        self.count += 1;
        self.failed += u64::from(is_err);
    }

    /// How many outcomes.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// How many of them are [`Outcome::Err`].
    #[must_use]
    pub const fn failed(&self) -> u64 {
        self.failed
    }

    /// The packed form.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether there is no outcome yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }
}

fn micros(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_micros()).unwrap_or(LEB128_MAX)
}

fn put(bytes: &mut Vec<u8>, number: u64) {
    let mut rest = number.min(LEB128_MAX);
    while rest >= 0x80 {
        bytes.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_truth_value_costs_one_byte_more_than_its_text() {
        let mut packed = Packed::default();
        packed.push(Outcome::Ok(b"true"));
        packed.push_record(Outcome::Ok(b"true").into());
        assert_eq!(packed.bytes(), b"\x10true\x10true");
    }

    #[test]
    fn an_account_stands_in_front_of_the_bytes() {
        let account = Account {
            attempts: 2,
            elapsed: Duration::from_nanos(300_999),
        };
        let record = |outcome| Record {
            outcome,
            account: Some(account),
            stderr: b"trace",
        };
        let mut packed = Packed::default();
        packed.push_record(record(Outcome::Ok(b"true")));
        packed.push_record(record(Outcome::Err(b"no")));
        assert_eq!(packed.bytes(), b"\x1e\x02\xac\x02true\x2f\x02\xac\x02\x02notrace");
        assert_eq!((packed.count(), packed.failed()), (2, 1));
    }

    #[test]
    fn neighbours_are_joined() {
        let (mut left, mut right, mut both) = (Packed::default(), Packed::default(), Packed::default());
        for (packed, outcome) in [(&mut left, Outcome::Err(b"a")), (&mut right, Outcome::Ok(b"b"))] {
            packed.push(outcome);
            both.push(outcome);
        }
        left.append(&right);
        assert_eq!(left, both);
    }
}
