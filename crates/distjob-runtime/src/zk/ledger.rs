//! Every read and write of a job's znode and of its lock.
//!
//! Each write is versioned, and none returns an unclear answer: after one, the znode is read again, and what it says
//! decides (see [`distjob_core::ledger::settle`]). So these methods end with what is the case, or with
//! [`ZkError::SessionOver`].

use std::time::Duration;

use distjob_core::{
    JobData, JobDataError, JobEntry, JobId, JobState, MemberName, Zxid,
    ledger::{Settled, settle},
};
use tokio::time::sleep;
use zookeeper_client::Stat;

use super::{Session, ZkError, session::ephemeral, session::persistent};

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

    fn from_reply(reply: Result<(Vec<u8>, Stat), ZkError>) -> Result<Self, ZkError> {
        match reply {
            Ok((data, stat)) => Ok(Self::new(&data, &stat)),
            Err(ZkError::NoNode) => Ok(Self::Gone),
            Err(error) => Err(error),
        }
    }

    pub(super) fn new(data: &[u8], stat: &Stat) -> Self {
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
/// It can be spent only through the [`Ledger`] of the session that took it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a lock that is not released keeps other watchers away until the session ends"]
pub struct Lock {
    id: JobId,
    path: String,
    owner: i64,
}

impl Lock {
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

/// The jobs' znodes and locks, seen through one session.
#[derive(Clone, Debug)]
pub struct Ledger {
    session: Session,
}

impl Ledger {
    /// The ledger of this session's root.
    #[must_use]
    pub fn new(session: Session) -> Self {
        Self { session }
    }

    /// The session that it writes with.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Reads a job as the connected server knows it; that may be a little behind. One attempt.
    ///
    /// # Errors
    /// [`ZkError::Unclear`], [`ZkError::Refused`] or [`ZkError::SessionOver`].
    pub async fn read(&self, id: &JobId) -> Result<JobRead, ZkError> {
        let path = self.session.layout().job(id);
        JobRead::from_reply(self.session.reply(self.session.client().get_data(&path)).await)
    }

    /// Reads a job after the server has heard of all that happened before the call. Repeats until the answer is
    /// clear.
    ///
    /// # Errors
    /// [`ZkError::Refused`] or [`ZkError::SessionOver`].
    pub async fn read_fresh(&self, id: &JobId) -> Result<JobRead, ZkError> {
        let path = self.session.layout().job(id);
        self.session
            .until_clear(|| async {
                let (sync, data) = (
                    self.session.client().sync(&path),
                    self.session.client().get_data(&path),
                );
                self.session.reply(sync).await?;
                JobRead::from_reply(self.session.reply(data).await)
            })
            .await
    }

    /// The names of all children of the directory of jobs, and as of which zxid (its `pzxid`), from one reply.
    ///
    /// # Errors
    /// [`ZkError::Unclear`], [`ZkError::Refused`] or [`ZkError::SessionOver`].
    pub async fn list(&self) -> Result<(Vec<String>, Zxid), ZkError> {
        let path = self.session.layout().jobs();
        let (names, stat) = self
            .session
            .reply(self.session.client().get_children(&path))
            .await?;
        Ok((names, Zxid::from(stat.pzxid)))
    }

    /// Creates a job. One attempt: whether to try again after [`Created::Absent`] depends on what the store says.
    ///
    /// # Errors
    /// [`ZkError::Refused`], [`ZkError::SessionOver`], or [`ZkError::NoNode`] without the directories.
    pub async fn create(&self, id: &JobId, data: &JobData) -> Result<Created, ZkError> {
        let path = self.session.layout().job(id);
        let bytes = data.to_string().into_bytes();
        let created = self.session.client().create(&path, &bytes, &persistent());
        match self.session.reply(created).await {
            Ok((stat, _)) => Ok(Created::Yes(JobEntry {
                data: data.clone(),
                life: Zxid::from(stat.czxid),
                version: stat.version,
                created_ms: stat.ctime,
            })),
            Err(ZkError::NodeExists | ZkError::Unclear(_)) => Ok(match self.read_fresh(id).await? {
                JobRead::Gone => Created::Absent,
                JobRead::Job(entry) if entry.data.source == data.source && is_staged(data) => {
                    Created::Yes(entry)
                }
                other => Created::Exists(other),
            }),
            Err(error) => Err(error),
        }
    }

    /// Takes the job from `before` to `data`, without a lock: what executors, operators and submitters may do.
    ///
    /// # Errors
    /// [`ZkError::Refused`] or [`ZkError::SessionOver`].
    pub async fn set(&self, id: &JobId, before: &JobEntry, data: &JobData) -> Result<Written, ZkError> {
        let path = self.session.layout().job(id);
        let bytes = data.to_string().into_bytes();
        self.write(id, before, Some(data.state), || async {
            let set = self
                .session
                .client()
                .set_data(&path, &bytes, Some(before.version));
            self.session.reply(set).await.map(|_| ())
        })
        .await
    }

    /// Takes the lock of a job that looks like `before`: checks and creates in one transaction, as `member`.
    ///
    /// # Errors
    /// [`ZkError::Refused`] or [`ZkError::SessionOver`].
    pub async fn lock(&self, id: &JobId, before: &JobEntry, member: &MemberName) -> Result<Locking, ZkError> {
        let job = self.session.layout().job(id);
        let path = self.session.layout().lock(id);
        let lock = Lock {
            id: id.clone(),
            path,
            owner: self.session.id(),
        };
        loop {
            let attempt = async {
                let mut multi = self.session.client().new_multi_writer();
                multi.add_check_version(&job, before.version)?;
                multi.add_create(&lock.path, member.as_str().as_bytes(), &ephemeral())?;
                self.session.reply(multi.commit()).await
            };
            match attempt.await {
                Ok(_) => break,
                Err(error @ (ZkError::Refused(_) | ZkError::SessionOver)) => return Err(error),
                Err(_) => {}
            }
            // NodeExists, a changed job or an unclear reply: what stands there now decides.
            match self.owner_of(&lock).await? {
                Some(owner) if owner == lock.owner => break,
                Some(_) => return Ok(Locking::Taken),
                None => match self.read_fresh(id).await? {
                    JobRead::Job(now) if before.is_unchanged_in(&now) => {}
                    other => return Ok(Locking::Overtaken(other)),
                },
            }
        }
        // The check compares a version, and an id can come back to life with the same one. The server that answered
        // the transaction has applied it, so its own view is new enough.
        match self.session.until_clear(|| self.read(id)).await? {
            JobRead::Job(now) if before.is_unchanged_in(&now) => Ok(Locking::Held(lock)),
            other => {
                self.unlock(lock).await?;
                Ok(Locking::Overtaken(other))
            }
        }
    }

    /// Whether this session still owns the lock, asked of the leader.
    ///
    /// # Errors
    /// [`ZkError::Refused`] or [`ZkError::SessionOver`].
    pub async fn holds(&self, lock: &Lock) -> Result<bool, ZkError> {
        Ok(lock.owner == self.session.id() && self.owner_of(lock).await? == Some(lock.owner))
    }

    /// Takes the job from `before` to `data` under the lock.
    ///
    /// # Errors
    /// [`ZkError::Refused`] or [`ZkError::SessionOver`].
    pub async fn set_locked(
        &self,
        lock: &Lock,
        before: &JobEntry,
        data: &JobData,
    ) -> Result<Written, ZkError> {
        let path = self.session.layout().job(&lock.id);
        let bytes = data.to_string().into_bytes();
        self.write(&lock.id, before, Some(data.state), || async {
            let mut multi = self.session.client().new_multi_writer();
            multi.add_check_version(&lock.path, 0)?;
            multi.add_set_data(&path, &bytes, Some(before.version))?;
            self.session.reply(multi.commit()).await.map(|_| ())
        })
        .await
    }

    /// Deletes the job and its lock in one transaction.
    ///
    /// # Errors
    /// [`ZkError::Refused`] or [`ZkError::SessionOver`].
    pub async fn delete_locked(&self, lock: &Lock, before: &JobEntry) -> Result<Written, ZkError> {
        let path = self.session.layout().job(&lock.id);
        self.write(&lock.id, before, None, || async {
            let mut multi = self.session.client().new_multi_writer();
            multi.add_delete(&path, Some(before.version))?;
            multi.add_delete(&lock.path, Some(0))?;
            self.session.reply(multi.commit()).await.map(|_| ())
        })
        .await
    }

    /// Gives the lock back. A lock that is somebody else's by now is left alone.
    ///
    /// # Errors
    /// [`ZkError::Refused`] or [`ZkError::SessionOver`].
    pub async fn unlock(&self, lock: Lock) -> Result<(), ZkError> {
        self.session
            .until_clear(|| async {
                if self
                    .session
                    .fresh_stat(&lock.path)
                    .await?
                    .is_none_or(|stat| stat.ephemeral_owner != lock.owner)
                {
                    return Ok(());
                }
                match self
                    .session
                    .reply(self.session.client().delete(&lock.path, Some(0)))
                    .await
                {
                    Err(ZkError::NoNode) => Ok(()),
                    other => other,
                }
            })
            .await
    }

    /// All locks: job ids as text with the owning member's name as text. For people.
    ///
    /// # Errors
    /// [`ZkError::Unclear`], [`ZkError::Refused`] or [`ZkError::SessionOver`].
    pub async fn locks(&self) -> Result<Vec<(String, String)>, ZkError> {
        let directory = self.session.layout().locks();
        let (names, _) = self
            .session
            .reply(self.session.client().get_children(&directory))
            .await?;
        let mut locks = Vec::with_capacity(names.len());
        for name in names {
            let path = format!("{directory}/{name}");
            match self.session.reply(self.session.client().get_data(&path)).await {
                Ok((owner, _)) => locks.push((name, String::from_utf8_lossy(&owner).into_owned())),
                Err(ZkError::NoNode) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(locks)
    }

    async fn owner_of(&self, lock: &Lock) -> Result<Option<i64>, ZkError> {
        let stat = self
            .session
            .until_clear(|| self.session.fresh_stat(&lock.path))
            .await?;
        Ok(stat.map(|stat| stat.ephemeral_owner))
    }

    /// Sends a versioned write until it is clear what became of it.
    async fn write<F>(
        &self,
        id: &JobId,
        before: &JobEntry,
        to: Option<JobState>,
        send: impl Fn() -> F,
    ) -> Result<Written, ZkError>
    where
        F: Future<Output = Result<(), ZkError>>,
    {
        let mut unclear = false;
        loop {
            let reply = send().await;
            match reply {
                Ok(()) => return Ok(Written::Yes),
                Err(error @ (ZkError::Refused(_) | ZkError::SessionOver)) => return Err(error),
                Err(ZkError::Unclear(_)) => unclear = true,
                Err(_) => {}
            }
            let now = self.read_fresh(id).await?;
            let entry = if let JobRead::Job(entry) = &now {
                Some(entry)
            } else {
                None
            };
            match settle(before, to, entry) {
                // Our own write may have met itself: an earlier copy took effect, and this one was refused for that.
                Settled::Done if unclear => return Ok(Written::Yes),
                Settled::Done | Settled::Overtaken => return Ok(Written::Overtaken(now)),
                // The job is as it was, and still the write was refused: only a lost lock does that.
                Settled::NotDone if matches!(reply, Err(ZkError::NoNode | ZkError::BadVersion)) => {
                    return Ok(Written::LockLost);
                }
                Settled::NotDone => sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

const fn is_staged(data: &JobData) -> bool {
    matches!(data.source, distjob_core::Source::Staged(_))
}
