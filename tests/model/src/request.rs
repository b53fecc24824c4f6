//! What processes ask of the two stores, and what they are told.

use distjob_core::{
    Holder, JobData, JobEntry, JobId, Source, TaskRange, Token, Zxid,
    store::{Claim, Commit, DropReply, Isolated, Meta, Open, Push, Read, Status},
};

/// A ZooKeeper session: which process, and the how manyth of its terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Session {
    /// Whose.
    pub who: Who,
    /// Counted from 1.
    pub term: u8,
}

/// A process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Who {
    /// An executor.
    Executor(u8),
    /// A watcher.
    Watcher(u8),
    /// A submitter.
    Submitter(u8),
    /// The operator.
    Operator,
}

/// One outcome of a delivered job: index, payload, packed bytes of the outcome.
pub type Row = (u64, Vec<u8>, Vec<u8>);

/// What a process asks for, in one call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// A script on the keys of a job.
    Store(JobId, Script),
    /// A read or write of the ledger.
    Ledger(Session, Write),
    /// Not a call to a store: the result gets its final name.
    Publish(JobId, Zxid, Vec<Row>),
}

impl Request {
    /// Whether it may change something, so that it matters when, and how often, it is executed.
    #[must_use]
    pub const fn has_effect(&self) -> bool {
        !matches!(
            self,
            Self::Store(_, Script::Inspect | Script::Status { .. } | Script::Read { .. })
                | Self::Ledger(_, Write::Register | Write::Read(_) | Write::Owner(_))
                | Self::Publish(..)
        )
    }
}

impl Request {
    /// Whether it creates a job with the tasks of this list.
    pub(crate) fn creates_from(&self, source: &Source) -> bool {
        match self {
            Self::Ledger(_, Write::Create(_, data) | Write::SetLocked(_, _, _, Some((_, data)))) => {
                data.source == *source
            }
            _ => false,
        }
    }
}

/// A call of a script.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Script {
    /// `push` of `tasks` to the list of `source`, all at once; of none: are they there?
    Push {
        /// Where to.
        source: Source,
        /// How many were pushed before.
        offset: u64,
        /// What.
        tasks: Vec<Vec<u8>>,
    },
    /// `inspect`: what is known of the id?
    Inspect,
    /// `open`.
    Open {
        /// Which life.
        life: Zxid,
        /// Of how many tasks.
        count: u64,
        /// From where.
        source: Source,
    },
    /// `claim`.
    Claim {
        /// Which life.
        life: Zxid,
        /// Who asks.
        holder: Holder,
        /// How many tasks at most.
        want: u64,
        /// From how many deaths on a range is run alone.
        isolate: u32,
        /// Whether to take such a range.
        isolated: Isolated,
        /// What is in hand.
        held: Vec<TaskRange>,
    },
    /// `commit`.
    Commit {
        /// Which life.
        life: Zxid,
        /// Whose lease.
        holder: Holder,
        /// The first task of which there is an outcome.
        lo: u64,
        /// The outcomes: the value, or none for a task that was given up.
        outcomes: Vec<Option<Vec<u8>>>,
    },
    /// `release`.
    Release {
        /// Which life.
        life: Zxid,
        /// Whose lease.
        holder: Holder,
        /// Which tasks.
        range: TaskRange,
    },
    /// `free`.
    Free {
        /// Which life.
        life: Zxid,
        /// Whose ranges.
        holder: Holder,
        /// 1 with proof of its death, 0 by itself.
        deaths: u32,
    },
    /// `status`.
    Status {
        /// Which life.
        life: Zxid,
        /// Of how many tasks.
        count: u64,
        /// From where.
        source: Source,
    },
    /// `read`.
    Read {
        /// Which life.
        life: Zxid,
        /// From which index.
        from: u64,
    },
    /// `drop`.
    Drop {
        /// Which life.
        life: Zxid,
        /// From where it came.
        source: Source,
    },
}

/// A read or write of the ledger, as one request to ZooKeeper.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Write {
    /// Open a session and create the member's ephemeral.
    Register,
    /// Remove the member's ephemeral and end the session.
    Leave,
    /// sync, then read the job.
    Read(JobId),
    /// Create the job.
    Create(JobId, JobData),
    /// Write the job's data over `JobEntry`'s version, without a lock.
    Set(JobId, JobEntry, JobData),
    /// multi [check the job's version, create the lock].
    Lock(JobId, JobEntry),
    /// sync, then read who owns the lock.
    Owner(JobId),
    /// multi [check the lock, set the job, create the follow-up].
    SetLocked(JobId, JobEntry, JobData, Option<(JobId, JobData)>),
    /// multi [delete the job at its version, delete the lock].
    Delete(JobId, JobEntry),
    /// Delete the lock if it is this session's.
    Unlock(JobId),
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Nobody knows what became of the request.
    Unclear,
    /// The session is over: nothing was done.
    SessionOver,
    /// ZooKeeper refused: a version, a node that is there or is not.
    Refused,
    /// The write took effect, or the call has no other answer.
    Done,
    /// Registered as.
    Registered(Holder),
    /// The job as created or read; `None` when there is none.
    Job(Option<JobEntry>),
    /// Whose the lock is.
    Owner(Option<Session>),
    /// Of `push`.
    Push(Push),
    /// Of `inspect`.
    Known(Option<Meta>),
    /// Of `open`.
    Open(Open),
    /// Of `claim`.
    Claim(Claim),
    /// Of `commit`.
    Commit(Commit),
    /// Of `status`.
    Status(Status),
    /// Of `read`.
    Read(Read),
    /// Of `drop`.
    Dropped(DropReply),
}

/// The staging list of submitter `number`, or of the `number`th follow-up attempt of a session.
#[must_use]
pub fn token(text: &str) -> Token {
    Token::new(text).expect("a short word is a token")
}
