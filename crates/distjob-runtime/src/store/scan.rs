//! What going through all jobs that the store knows, page by page, brings.

use distjob_core::{JobId, Zxid, store::MetaState};

/// A job that the store knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaEntry {
    /// Its id.
    pub id: JobId,
    /// Which life of it.
    pub life: Zxid,
    /// Whether it is open or a tombstone.
    pub state: MetaState,
}

/// Some of the jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaPage {
    /// The jobs, possibly none although others follow.
    pub jobs: Vec<MetaEntry>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<u64>,
}
