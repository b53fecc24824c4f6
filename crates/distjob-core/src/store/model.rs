//! The scripts again, in plain Rust: what they should do, without a store.
//!
//! The model serves three masters. A state machine test drives it and the real scripts side by side; a model checker
//! can explore the protocol on it; and it is the shortest description of what each script does. It has no clock: lists
//! and tombstones expire when [`Model::expire_source`] and [`Model::expire_tombstone`] say so. It is cheap to clone
//! while jobs are small, and equal states are equal.
//!
//! Arguments that a script refuses outright (an empty commit, a job of no tasks) have no effect here.

mod lease;
mod partition;
mod read;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub use partition::PartitionViolation;

use super::{DropReply, Inspection, Meta, MetaState, Open, Push, PushRequest, Standing};
use crate::{Holder, JobData, Lease, Source, Zxid, conclusion::Ending};

/// All keys of one job id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Model {
    /// The lists that were pushed and not opened. None of them is empty.
    pub sources: BTreeMap<Source, Vec<Vec<u8>>>,
    /// The meta key.
    pub meta: Option<Meta>,
    /// Whose deaths were counted. Kept in the meta key.
    pub dead: BTreeSet<Holder>,
    /// The payloads.
    pub tasks: Vec<Vec<u8>>,
    /// Who leases what. No list is empty.
    pub leases: BTreeMap<Holder, Vec<Lease>>,
    /// What was given back, next first.
    pub freed: VecDeque<Lease>,
    /// First index of a commit → one past its last, and the packed outcomes.
    pub results: BTreeMap<u64, (u64, Vec<u8>)>,
}

/// One of a job's keys, for tests that take it away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// Counters and state.
    Meta,
    /// Payloads.
    Tasks,
    /// Leases.
    Leases,
    /// Ranges that were given back.
    Freed,
    /// Outcomes.
    Results,
}

impl Model {
    /// `push`: appends to the list of one submission attempt.
    pub fn push(&mut self, request: &PushRequest<'_>) -> Push {
        let source = Source::Staged(request.source.clone());
        if self.meta.as_ref().is_some_and(|meta| meta.source == source) {
            return Push::Opened;
        }
        let length = self.source_length(&source);
        if length == request.offset && !request.tasks.is_empty() {
            let list = self.sources.entry(source).or_default();
            list.extend_from_slice(request.tasks);
            return Push::Ok(list.len() as u64);
        }
        if length >= request.offset + request.tasks.len() as u64 {
            Push::Ok(length)
        } else {
            Push::Gap(length)
        }
    }

    /// `open`: makes a source list of exactly `count` tasks the job of `life`.
    pub fn open(&mut self, life: Zxid, count: u64, source: &Source) -> Open {
        match self.standing(life) {
            Standing::Open => return Open::Open,
            Standing::Gone => return Open::Gone,
            Standing::Stale => return Open::Stale,
            Standing::Absent => {}
        }
        let length = self.source_length(source);
        if length != count || count == 0 {
            return Open::Missing(length);
        }
        self.clear();
        self.tasks = self.sources.remove(source).unwrap_or_default();
        self.meta = Some(Meta {
            life,
            state: MetaState::Open,
            source: source.clone(),
            count,
            cursor: 0,
            committed: 0,
            failed: 0,
            conclusion: None,
            last: None,
        });
        Open::Open
    }

    /// `drop`: leaves nothing but a tombstone, which keeps how the job ended, unless a later life is known.
    pub fn drop_job(&mut self, life: Zxid, source: &Source, last: Option<&JobData>) -> DropReply {
        let mut told = last.and_then(|last| Some((last.ending()?, Some(last.clone()))));
        match self.standing(life) {
            Standing::Stale => return DropReply::Stale,
            // Never opened in this life: its list would stay for ever.
            Standing::Absent => drop(self.sources.remove(source)),
            // Opened, which consumed its list: one that stands there now is somebody else's.
            Standing::Open => {}
            // Whoever drops it once more may know less.
            Standing::Gone => told = told.or(self.told()),
        }
        self.clear();
        let (ending, last) = told.unzip();
        self.meta = Some(Meta {
            life,
            state: MetaState::Gone,
            source: source.clone(),
            count: ending.map_or(0, |ending| ending.count),
            cursor: 0,
            committed: 0,
            failed: ending.map_or(0, |ending| ending.failed),
            conclusion: ending.map(|ending| ending.conclusion),
            last: last.flatten(),
        });
        DropReply::Dropped
    }

    /// What a tombstone tells of the end of the job.
    fn told(&self) -> Option<(Ending, Option<JobData>)> {
        let meta = self.meta.as_ref()?;
        Some((meta.ending()?, meta.last.clone()))
    }

    /// `inspect`: everything at once. Times to live are not modelled.
    #[must_use]
    pub fn inspect(&self, source: &Source) -> Inspection {
        Inspection {
            meta: self.meta.clone(),
            meta_ttl_s: None,
            tasks: self.tasks.len() as u64,
            results: self.results.len() as u64,
            source: self.source_length(source),
            leases: self.leases.clone(),
            freed_total: self.freed.len() as u64,
            freed: self.freed.iter().take(super::FREED_LISTED_MAX).copied().collect(),
        }
    }

    /// A source list reaches the end of its time to live.
    pub fn expire_source(&mut self, source: &Source) {
        self.sources.remove(source);
    }

    /// A tombstone reaches the end of its time to live; an open job has none.
    pub fn expire_tombstone(&mut self) {
        self.meta.take_if(|meta| meta.state == MetaState::Gone);
    }

    /// The store loses one key.
    pub fn lose(&mut self, part: Part) {
        match part {
            Part::Meta => {
                self.meta = None;
                self.dead.clear();
            }
            Part::Tasks => self.tasks.clear(),
            Part::Leases => self.leases.clear(),
            Part::Freed => self.freed.clear(),
            Part::Results => self.results.clear(),
        }
    }

    /// How `life` stands to the one that is known.
    #[must_use]
    pub fn standing(&self, life: Zxid) -> Standing {
        match &self.meta {
            None => Standing::Absent,
            Some(meta) if meta.life < life => Standing::Absent,
            Some(meta) if meta.life > life => Standing::Stale,
            Some(meta) if meta.state == MetaState::Open => Standing::Open,
            Some(_) => Standing::Gone,
        }
    }

    /// The meta of the job, when it is open in this life.
    fn opened(&self, life: Zxid) -> Result<&Meta, Standing> {
        match (self.standing(life), &self.meta) {
            (Standing::Open, Some(meta)) => Ok(meta),
            (standing, _) => Err(standing),
        }
    }

    fn source_length(&self, source: &Source) -> u64 {
        self.sources.get(source).map_or(0, |list| list.len() as u64)
    }

    fn clear(&mut self) {
        let sources = std::mem::take(&mut self.sources);
        *self = Self {
            sources,
            ..Self::default()
        };
    }
}
