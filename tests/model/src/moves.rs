//! The names of what a process may do next.

use distjob_core::{JobId, Zxid};

/// A choice of one process: each is one request, or none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Move {
    /// Open a session and register.
    Register,
    /// Begin with a job: an executor claims, a watcher locks.
    Pick(JobId),
    /// Go on with what was begun.
    Go,
    /// Run the task at this index, which is in hand, and commit it.
    Run(JobId, u64),
    /// Give back the tasks from this index on to the end of the lease, which have not begun.
    Release(JobId, u64),
    /// Mark a job as processed.
    Finish(JobId),
    /// Ask whether the store leases something that is not known.
    Audit(JobId),
    /// Give back everything of a job before leaving.
    Free(JobId, Zxid),
    /// Remove the registration.
    Leave,
}
