//! What the ledger's reads and writes answer.

use std::sync::Arc;

use distjob_core::{JobData, JobDataError, JobEntry, JobId, Zxid};

use crate::zk::{
    ZkError,
    client::{Op, Stat},
    own::OwnWrite,
};

/// What the znode of a job shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobRead {
    /// A job.
    Job(JobEntry),
    /// A znode of somebody else's, or a damaged one, in this life.
    Unreadable(Zxid, JobDataError),
    /// No znode.
    Gone,
}

impl JobRead {
    /// The job, when there is a readable one.
    #[must_use]
    pub fn into_job(self) -> Option<JobEntry> {
        match self {
            Self::Job(entry) => Some(entry),
            Self::Unreadable(..) | Self::Gone => None,
        }
    }

    pub(super) fn from_reply(reply: Result<(Vec<u8>, Stat), ZkError>) -> Result<Self, ZkError> {
        match reply {
            Ok((data, stat)) => Ok(Self::new(&data, &stat)),
            Err(ZkError::NoNode) => Ok(Self::Gone),
            Err(error) => Err(error),
        }
    }

    pub(in crate::zk) fn new(data: &[u8], stat: &Stat) -> Self {
        let life = Zxid::from(stat.czxid);
        match JobData::parse(data) {
            Ok(data) => Self::Job(JobEntry {
                data,
                life,
                version: stat.version,
                created_ms: stat.ctime,
            }),
            Err(error) => Self::Unreadable(life, error),
        }
    }
}

/// What became of creating a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// The znode is there, in this life, and it carries what was asked for.
    Yes(JobEntry),
    /// A znode of that id was there already.
    Exists(JobRead),
    /// The reply was unclear and there is no znode: it was never created, or it has come and gone. The store knows.
    Absent,
}

/// What became of a versioned write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// It took effect.
    Yes,
    /// Somebody else changed the job first; this is what it looks like now.
    Overtaken(JobRead),
    /// The lock is not this session's any more (only for writes under a lock).
    LockLost,
}

/// A held lock: the right to deliver one job, for as long as the session lives.
///
/// It can be spent only through the [`Ledger`](crate::zk::Ledger) of the session that took it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a lock that is not released keeps other watchers away until the session ends"]
pub struct Lock {
    pub(super) id: JobId,
    pub(super) path: String,
    pub(super) owner: i64,
    /// What happens to the job meanwhile is this session's doing, unless it says otherwise.
    pub(super) own: Arc<OwnWrite>,
}

impl Lock {
    /// That there is a lock: whose it is, its session knows.
    pub(super) fn check(&self) -> Op<'_> {
        Op::Check {
            path: &self.path,
            version: 0,
        }
    }

    /// The job that it is for.
    #[must_use]
    pub fn id(&self) -> &JobId {
        &self.id
    }
}

/// What became of asking for a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Locking {
    /// It is ours.
    Held(Lock),
    /// Another watcher has it.
    Taken,
    /// The job is not what the caller saw any more.
    Overtaken(JobRead),
}
