//! Znodes that a transaction creates along with what it is for.

use distjob_core::{JobData, JobId, Layout};

use crate::zk::client::{Mode, Op};

/// Paths and data.
pub(super) struct Creates(Vec<(String, Vec<u8>)>);

impl Creates {
    pub(super) fn of_jobs(layout: &Layout, jobs: &[(JobId, JobData)]) -> Self {
        let znode = |(id, data): &(JobId, JobData)| (layout.job(id), data.to_string().into_bytes());
        Self(jobs.iter().map(znode).collect())
    }

    pub(super) fn ops(&self) -> impl Iterator<Item = Op<'_>> {
        self.0.iter().map(|(path, data)| Op::Create {
            path,
            data,
            mode: Mode::Persistent,
        })
    }
}
