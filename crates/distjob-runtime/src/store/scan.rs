//! What going through all jobs that the store knows, page by page, brings.

use distjob_core::{JobId, Zxid};

/// A job that the store knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaEntry {
    /// Its id.
    pub id: JobId,
    /// Which life of it.
    pub life: Zxid,
    /// Whether it stays until somebody drops it: an open job, or a tombstone that lost its time to live.
    pub stays: bool,
}

/// Some of the jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaPage {
    /// The jobs, possibly none although others follow.
    pub jobs: Vec<MetaEntry>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<u64>,
}
