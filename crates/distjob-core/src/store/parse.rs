//! Reading replies: flat lists of strings, a word first. The list is taken by value: payloads are moved, not copied.

use std::{str::FromStr, time::Duration};

use super::{
    reply::{Chunk, Claim, Commit, DropReply, Grant, Open, Push, Read, Slice, Standing, Status},
    wire::{Parts, ReplyError, bad},
};
use crate::{Lease, TaskRange, rate::Tokens};

impl Push {
    /// Reads the reply.
    ///
    /// # Errors
    /// When it is none of this script's.
    pub fn parse(reply: Vec<Vec<u8>>) -> Result<Self, ReplyError> {
        let mut parts = Parts::new(reply);
        let push = match parts.text("word")?.as_str() {
            "ok" => Self::Ok(parts.parse("length")?),
            "gap" => Self::Gap(parts.parse("length")?),
            "opened" => Self::Opened,
            word => return Err(ReplyError::Word(word.to_owned())),
        };
        parts.end(push)
    }
}

impl Open {
    /// Reads the reply.
    ///
    /// # Errors
    /// When it is none of this script's.
    pub fn parse(reply: Vec<Vec<u8>>) -> Result<Self, ReplyError> {
        let mut parts = Parts::new(reply);
        let open = match parts.text("word")?.as_str() {
            "open" => Self::Open,
            "gone" => Self::Gone,
            "stale" => Self::Stale,
            "missing" => Self::Missing(parts.parse("length")?),
            word => return Err(ReplyError::Word(word.to_owned())),
        };
        parts.end(open)
    }
}

impl Claim {
    /// Reads the reply.
    ///
    /// # Errors
    /// When it is none of this script's.
    pub fn parse(reply: Vec<Vec<u8>>) -> Result<Self, ReplyError> {
        let mut parts = Parts::new(reply);
        let claim = match parts.text("word")?.as_str() {
            "absent" => Self::Absent,
            "gone" => Self::Gone,
            "stale" => Self::Stale,
            "broken" => Self::Broken,
            "complete" => Self::Complete,
            "audited" => Self::Audited,
            "isolated" => Self::Isolated,
            "none" => {
                let (committed, count) = (parts.parse("committed")?, parts.parse("count")?);
                let holders = parts.holders(parts.len())?;
                return Ok(Self::None {
                    committed,
                    count,
                    holders,
                });
            }
            "lease" => return Grant::parse(parts).map(Self::Lease),
            word => return Err(ReplyError::Word(word.to_owned())),
        };
        parts.end(claim)
    }
}

impl Grant {
    fn parse(mut parts: Parts) -> Result<Self, ReplyError> {
        let lease: Lease = parts.parse("lease")?;
        Ok(Self {
            lease,
            committed: parts.parse("committed")?,
            failed: parts.parse("failed")?,
            cursor: parts.parse("cursor")?,
            count: parts.parse("count")?,
            holders: {
                let count = parts.parse("number of holders")?;
                parts.holders(count)?
            },
            tasks: parts.payloads_of(lease.range.len())?,
        })
    }
}

impl Commit {
    /// Reads the reply.
    ///
    /// # Errors
    /// When it is none of this script's.
    pub fn parse(reply: Vec<Vec<u8>>) -> Result<Self, ReplyError> {
        let mut parts = Parts::new(reply);
        let accepted = match parts.text("word")?.as_str() {
            "ok" => true,
            "refused" => false,
            word => return Err(ReplyError::Word(word.to_owned())),
        };
        let commit = Self {
            accepted,
            committed: parts.parse("committed")?,
            failed: parts.parse("failed")?,
            count: parts.parse("count")?,
            leases: parts.leases()?,
            standing: parts.parse("standing")?,
        };
        parts.end(commit)
    }
}

impl FromStr for Standing {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "absent" => Ok(Self::Absent),
            "stale" => Ok(Self::Stale),
            "gone" => Ok(Self::Gone),
            "open" => Ok(Self::Open),
            _ => Err("is none of absent, stale, gone, open"),
        }
    }
}

/// Reads the reply of `free`: how many ranges were given back.
///
/// # Errors
/// When it is none of this script's.
pub fn parse_freed(reply: Vec<Vec<u8>>) -> Result<u64, ReplyError> {
    let mut parts = Parts::new(reply);
    match parts.text("word")?.as_str() {
        "ok" => {
            let count = parts.parse("number of ranges")?;
            parts.end(count)
        }
        word => Err(ReplyError::Word(word.to_owned())),
    }
}

/// Reads the reply of `take`.
///
/// # Errors
/// When it is none of this script's.
pub fn parse_tokens(reply: Vec<Vec<u8>>) -> Result<Tokens, ReplyError> {
    let mut parts = Parts::new(reply);
    match parts.text("word")?.as_str() {
        "ok" => {
            let tokens = Tokens {
                granted: parts.parse("number of tokens")?,
                wait: Duration::from_micros(parts.parse("wait")?),
            };
            parts.end(tokens)
        }
        word => Err(ReplyError::Word(word.to_owned())),
    }
}

/// Reads the reply of `staged`: payloads and nothing else.
///
/// # Errors
/// When it is none of this script's.
pub fn parse_staged(reply: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, ReplyError> {
    let mut parts = Parts::new(reply);
    match parts.text("word")?.as_str() {
        "ok" => Ok(parts.payloads()?.iter().map(<[u8]>::to_vec).collect()),
        word => Err(ReplyError::Word(word.to_owned())),
    }
}

impl Read {
    /// Reads the reply to a read from index `from`.
    ///
    /// # Errors
    /// When it is none of this script's, and when its chunks do not follow one another from `from` on: what this
    /// returns has each index exactly once.
    pub fn parse(reply: Vec<Vec<u8>>, from: u64) -> Result<Self, ReplyError> {
        let mut parts = Parts::new(reply);
        let read = match parts.text("word")?.as_str() {
            "gone" => Self::Gone,
            "short" => Self::Short,
            "hole" => Self::Hole(parts.parse("index")?),
            "slice" => return Slice::parse(parts, from).map(Self::Slice),
            word => return Err(ReplyError::Word(word.to_owned())),
        };
        parts.end(read)
    }
}

impl Slice {
    fn parse(mut parts: Parts, from: u64) -> Result<Self, ReplyError> {
        let count: u32 = parts.parse("number of chunks")?;
        let mut chunks = Vec::new();
        let mut next = from;
        for _ in 0..count {
            let lo: u64 = parts.parse("lo")?;
            let upto: u64 = parts.parse("upto")?;
            let range = TaskRange::new(lo, upto)
                .filter(|range| range.lo() == next)
                .ok_or_else(|| {
                    bad(
                        "chunk",
                        &format!("{lo}..{upto}"),
                        &format!("one from {next} on was due"),
                    )
                })?;
            next = upto;
            let packed = parts.bytes("packed outcomes")?;
            chunks.push(Chunk { range, packed });
        }
        if chunks.is_empty() {
            return Err(ReplyError::Missing("chunks"));
        }
        let tasks = parts.payloads_of(next - from)?;
        Ok(Self { chunks, tasks })
    }
}

impl Status {
    /// Reads the reply.
    ///
    /// # Errors
    /// When it is none of this script's.
    pub fn parse(reply: Vec<Vec<u8>>) -> Result<Self, ReplyError> {
        let mut parts = Parts::new(reply);
        let status = match parts.text("word")?.as_str() {
            "open" => Self::Open {
                committed: parts.parse("committed")?,
                failed: parts.parse("failed")?,
                cursor: parts.parse("cursor")?,
                whole: parts.parse::<u8>("whole")? == 1,
            },
            "gone" => Self::Gone,
            "stale" => Self::Stale,
            "none" => Self::None(parts.parse("length")?),
            word => return Err(ReplyError::Word(word.to_owned())),
        };
        parts.end(status)
    }
}

impl DropReply {
    /// Reads the reply.
    ///
    /// # Errors
    /// When it is none of this script's.
    pub fn parse(reply: Vec<Vec<u8>>) -> Result<Self, ReplyError> {
        let mut parts = Parts::new(reply);
        let dropped = match parts.text("word")?.as_str() {
            "dropped" => Self::Dropped,
            "stale" => Self::Stale,
            word => return Err(ReplyError::Word(word.to_owned())),
        };
        parts.end(dropped)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::{Inspection, pack};

    fn reply(parts: &[&str]) -> Vec<Vec<u8>> {
        parts.iter().map(|part| part.as_bytes().to_vec()).collect()
    }

    #[test]
    fn a_lease_has_exactly_one_payload_for_each_task() {
        let claim = |payloads: &[&str]| {
            let (first, others) = payloads.split_at(1);
            let head = [
                "lease",
                "3:5:1",
                "2",
                "1",
                "9",
                "20",
                "2",
                "00000000000000ab.b",
                "00000000000000ab.a",
            ];
            let mut reply = reply(&head);
            reply.extend([pack(first), pack(others)]);
            Claim::parse(reply)
        };
        let Ok(Claim::Lease(grant)) = claim(&["x", ""]) else {
            panic!("two payloads fit");
        };
        assert_eq!(grant.lease.to_string(), "3:5:1");
        assert_eq!((grant.committed, grant.failed), (2, 1));
        assert_eq!((grant.cursor, grant.count), (9, 20));
        let names: Vec<&str> = grant.holders.iter().map(|holder| holder.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(grant.tasks, ["x", ""][..]);
        assert_eq!(claim(&["x"]), Err(ReplyError::Missing("payloads")));
        assert_eq!(claim(&["x", "y", "z"]), Err(ReplyError::Surplus(1)));
    }

    #[test]
    fn a_slice_skips_and_repeats_nothing() {
        let read = |chunks: &[&str], from| {
            let mut reply = reply(&[&["slice", "2"], chunks].concat());
            reply.push(pack(&["a", "b", "c"]));
            Read::parse(reply, from)
        };
        let Ok(Read::Slice(slice)) = read(&["4", "5", "p", "5", "7", "q"], 4) else {
            panic!("these follow one another");
        };
        assert_eq!((slice.upto(), slice.tasks.len()), (7, 3));
        for chunks in [
            ["4", "5", "p", "6", "8", "q"],
            ["4", "6", "p", "5", "7", "q"],
            ["4", "4", "p", "4", "7", "q"],
        ] {
            assert!(matches!(
                read(&chunks, 4),
                Err(ReplyError::Part { what: "chunk", .. })
            ));
        }
        assert!(read(&["4", "5", "p", "5", "7", "q"], 3).is_err());
        assert_eq!(
            Read::parse(reply(&["slice", "0"]), 0),
            Err(ReplyError::Missing("chunks"))
        );
    }

    #[test]
    fn holders_come_sorted() {
        let (a, b) = ("0000000000000001.b", "0000000000000002.a");
        let claim = Claim::parse(reply(&["none", "0", "9", b, a]));
        let holders = vec![a.parse().unwrap(), b.parse().unwrap()];
        assert_eq!(
            claim,
            Ok(Claim::None {
                committed: 0,
                count: 9,
                holders
            })
        );
    }

    proptest! {
        #[test]
        fn no_reply_makes_a_parser_panic(
            word in "ok|gap|open|gone|stale|missing|lease|none|refused|slice|hole|dropped|.*",
            rest in prop::collection::vec("[0-9]{1,3}|[0-9]:[0-9]:[0-9]|.*", 0..12),
        ) {
            let parts: Vec<&str> = [word.as_str()].into_iter().chain(rest.iter().map(String::as_str)).collect();
            let reply = || reply(&parts);
            let _ = (Push::parse(reply()), Open::parse(reply()), Claim::parse(reply()), Commit::parse(reply()));
            let _ = (parse_freed(reply()), parse_staged(reply()), parse_tokens(reply()));
            let _ = ( Read::parse(reply(), 0), Status::parse(reply()));
            let _ = (DropReply::parse(reply()), Inspection::parse(reply()));
        }
    }
}
