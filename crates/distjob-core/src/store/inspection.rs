//! All that the store knows of a job, for people and for tests.

use std::collections::BTreeMap;

use super::wire::{Parts, ReplyError};
use crate::{
    Holder, JobData, Lease, Source, Zxid,
    conclusion::{Conclusion, Ending},
};

/// Whether a job's keys stand there or only a tombstone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MetaState {
    /// The job stands there.
    Open,
    /// It was dropped. A tombstone tells late messages so until it expires.
    Gone,
}

/// What the meta key says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Meta {
    /// Which life of the id.
    pub life: Zxid,
    /// Whether it is open.
    pub state: MetaState,
    /// The list that became its tasks.
    pub source: Source,
    /// How many tasks; in a tombstone 0, unless whoever dropped the job told how it had ended.
    pub count: u64,
    /// The first task that was never leased.
    pub cursor: u64,
    /// How many tasks have an outcome.
    pub committed: u64,
    /// How many of them have an error; in a tombstone like `count`.
    pub failed: u64,
    /// What the job came to; only in a tombstone, and only when that was told.
    pub conclusion: Option<Conclusion>,
    /// What the job's znode said last; only in a tombstone that tells what the job came to.
    pub last: Option<JobData>,
}

impl Meta {
    /// How the job ended, when this is a tombstone that tells it.
    #[must_use]
    pub fn ending(&self) -> Option<Ending> {
        self.conclusion.map(|conclusion| Ending {
            count: self.count,
            failed: self.failed,
            conclusion,
        })
    }
}

/// Answer of `inspect`: one moment of a job, without payloads and outcomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// What the meta key says, when there is one.
    pub meta: Option<Meta>,
    /// In how many seconds the meta key expires, for a tombstone.
    pub meta_ttl_s: Option<u64>,
    /// How many tasks stand in the job.
    pub tasks: u64,
    /// How many commits are recorded.
    pub results: u64,
    /// How many tasks stand in the source list that was asked about.
    pub source: u64,
    /// Who leases what.
    pub leases: BTreeMap<Holder, Vec<Lease>>,
    /// How many ranges were given back and wait to be leased again.
    pub freed_total: u64,
    /// The first [`FREED_LISTED_MAX`](super::FREED_LISTED_MAX) of them, next first.
    pub freed: Vec<Lease>,
}

impl Inspection {
    /// Reads the reply.
    ///
    /// # Errors
    /// When it is none of this script's.
    pub fn parse(reply: Vec<Vec<u8>>) -> Result<Self, ReplyError> {
        let mut parts = Parts::new(reply);
        let state = match parts.text("word")?.as_str() {
            "none" => None,
            "open" => Some(MetaState::Open),
            "gone" => Some(MetaState::Gone),
            word => return Err(ReplyError::Word(word.to_owned())),
        };
        let (meta, meta_ttl_s) = match state {
            None => (None, None),
            Some(state) => {
                let meta = Meta {
                    life: parts.parse("life")?,
                    state,
                    source: parts.source()?,
                    count: parts.parse("count")?,
                    cursor: parts.parse("cursor")?,
                    committed: parts.parse("committed")?,
                    failed: parts.parse("failed")?,
                    conclusion: parts.conclusion()?,
                    // It may be that of a later version.
                    last: JobData::parse(parts.text("data")?.as_bytes()).ok(),
                };
                let ttl: i64 = parts.parse("time to live")?;
                (Some(meta), u64::try_from(ttl).ok())
            }
        };
        let mut inspection = Self {
            meta,
            meta_ttl_s,
            tasks: parts.parse("number of tasks")?,
            results: parts.parse("number of commits")?,
            source: parts.parse("length of the source")?,
            freed_total: parts.parse("number of freed ranges")?,
            freed: parts.leases()?,
            leases: BTreeMap::new(),
        };
        while !parts.is_empty() {
            inspection.leases.insert(parts.parse("holder")?, parts.leases()?);
        }
        Ok(inspection)
    }
}
