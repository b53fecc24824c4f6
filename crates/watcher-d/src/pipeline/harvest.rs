//! What was collected of a job, until every sink has it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use distjob_core::{JobEntry, SinkName};

use super::aside::Aside;
use crate::{
    sink::Location,
    spool::{Collected, Recipe},
};

/// A whole result in the spool, with all that is known of it. Dropping it removes the file.
#[derive(Debug)]
pub(crate) struct Harvest {
    pub(super) recipe: Recipe,
    pub(super) collected: Collected,
    pub(super) aside: Aside,
    /// The sinks that have it, and where.
    pub(super) delivered: BTreeMap<SinkName, Location>,
    /// Its part of the spool, until one of them took the file.
    pub(super) room: Option<Room>,
    /// Whether the ledger may say what was put aside for it.
    pub(super) is_told: bool,
    /// The job as it looks since it was collected, by this watcher's own doing.
    pub(super) entry: JobEntry,
}

/// How many bytes of whole results are in the spool, on their way or waiting. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct InSpool(Arc<AtomicU64>);

/// What a result takes of the spool, until this is dropped.
#[derive(Debug)]
pub(crate) struct Room {
    bytes: u64,
    of: InSpool,
}

impl InSpool {
    /// Takes notice of a result of so many bytes.
    pub(super) fn enter(&self, bytes: u64) -> Room {
        self.0.fetch_add(bytes, Ordering::Relaxed);
        Room {
            bytes,
            of: self.clone(),
        }
    }

    /// All of them together.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.of.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Harvest {
    /// Whether it is the result of the job that looks like `entry` now: nothing was written to its znode since it was
    /// collected, but for sinks to skip.
    pub(crate) fn is_of(&self, entry: &JobEntry) -> bool {
        let ours = &self.entry;
        if ours.life != entry.life {
            return false;
        }
        // One more write, and what it changed is known: nothing else can have been in between.
        let only_skips = || {
            let mut skipping = ours.data.clone();
            skipping.ties = skipping
                .ties
                .with(|links| links.skip.clone_from(&entry.data.ties.skip));
            entry.version == ours.version.wrapping_add(1) && skipping == entry.data
        };
        ours.version == entry.version || only_skips()
    }

    /// Whether the job that looks like `entry` is past what it is the result of. Not so when that is older news.
    pub(crate) fn is_outdated_by(&self, entry: &JobEntry) -> bool {
        self.entry.life != entry.life || (entry.version > self.entry.version && !self.is_of(entry))
    }

    /// How many bytes it has in the spool.
    pub(crate) fn bytes(&self) -> u64 {
        self.room.as_ref().map_or(0, |room| room.bytes)
    }
}
