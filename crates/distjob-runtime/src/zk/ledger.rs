//! Every read and write of a job's znode and of its lock.
//!
//! Each write is versioned, and none returns an unclear answer: after one, the znode is read again, and what it says
//! decides (see [`distjob_core::ledger::settle`]). So these methods end with what is the case, or with
//! [`ZkError::SessionOver`].
//!
//! ZooKeeper compares versions, and an id that comes back to life begins again with the same ones. So every write
//! looks at the job's life first. Nobody else ends a life that is locked, and a server that has told of the lock knows
//! the life that it is for; a write without a lock has the leader asked, as a server that lags behind may still show a
//! life that is over. A life that ends and a next one that reaches the same version between this look and a write
//! without a lock cannot be told apart. With a lock, a view that follows the jobs spares the look: it would hear of a
//! life that ends as soon as that server could tell.
//!
//! # Cancel safety
//! Dropping the future of a write leaves it unclear: it may take effect, or have done so. A lock that was asked for may
//! be held; the next [`Ledger::lock`] of the same session finds it, and the end of the session ends it.

mod answers;
mod creates;
mod groups;

use std::sync::Arc;

use distjob_core::{
    JobData, JobEntry, JobId, MemberName, Zxid,
    ledger::{Settled, settle},
};
use futures::future::join;
use tokio::time::sleep;

use self::creates::Creates;
pub use self::{
    answers::{Created, JobRead, Lock, Locking, Written},
    groups::{GroupLook, GroupRead, Joining, Membership, Seat, Settling},
};
use super::{
    Session, ZkError,
    client::{Mode, Op},
    own::OwnWrites,
    session::PAUSE_MAX,
};
use crate::store::backoff;

/// The jobs' znodes and locks, seen through one session.
#[derive(Clone, Debug)]
pub struct Ledger {
    session: Session,
    own: Arc<OwnWrites>,
}

impl Ledger {
    /// The ledger of this session's root.
    #[must_use]
    pub fn new(session: Session) -> Self {
        Self {
            session,
            own: Arc::default(),
        }
    }

    /// The session that it writes with.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// What it is writing, and has written.
    pub(super) const fn own(&self) -> &Arc<OwnWrites> {
        &self.own
    }

    /// Reads some jobs with one request, as the connected server knows them all at one moment: what is there of each, in
    /// their order. One attempt.
    ///
    /// # Errors
    /// [`ZkError::Unclear`] or [`ZkError::SessionOver`]; of a single job also [`ZkError::Refused`].
    pub(super) async fn read_all(&self, ids: &[JobId]) -> Result<Vec<Result<JobRead, ZkError>>, ZkError> {
        let layout = self.session.layout();
        let paths: Vec<String> = ids.iter().map(|id| layout.job(id)).collect();
        let reads = self.session.client().get_data_of_all(&paths);
        let reads = self.session.reply(reads).await?;
        Ok(reads.into_iter().map(JobRead::from_reply).collect())
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
            .until_clear(|| async { JobRead::from_reply(self.session.fresh_data(path.clone()).await) })
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

    /// How many jobs there are, in whatever state, as the connected server knows it: one small reply, however many. One
    /// attempt.
    ///
    /// # Errors
    /// [`ZkError::Unclear`], [`ZkError::Refused`] or [`ZkError::SessionOver`]; [`ZkError::NoNode`] without the directory.
    pub async fn count(&self) -> Result<u64, ZkError> {
        let path = self.session.layout().jobs();
        let stat = self
            .session
            .reply(self.session.client().check_stat(&path))
            .await?;
        let stat = stat.ok_or(ZkError::NoNode)?;
        Ok(u64::try_from(stat.children).unwrap_or_default())
    }

    /// Creates a job. One attempt: whether to try again after [`Created::Absent`] depends on what the store says.
    ///
    /// # Errors
    /// [`ZkError::Refused`], [`ZkError::SessionOver`], or [`ZkError::NoNode`] without the directories.
    pub async fn create(&self, id: &JobId, data: &JobData) -> Result<Created, ZkError> {
        let path = self.session.layout().job(id);
        let bytes = data.to_string().into_bytes();
        let created = self.session.client().create(&path, &bytes, Mode::Persistent);
        match self.session.reply(created).await {
            Ok(stat) => Ok(Created::Yes(JobEntry {
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
        let own = self.own.begin(id);
        // A version tells two lives of an id apart no better than a server that lags behind does, and no lock keeps this
        // one from ending.
        let now = self.read_fresh(id).await?;
        if !is_unchanged(before, &now) {
            return Ok(Written::Overtaken(now));
        }
        let path = self.session.layout().job(id);
        let bytes = data.to_string().into_bytes();
        let written = self.write(id, before, Some(data), || async {
            let set = self
                .session
                .client()
                .set_data(&path, &bytes, Some(before.version));
            self.session.reply(set).await.map(|_| ())
        });
        let written = written.await?;
        if written == Written::Yes {
            own.done();
        }
        Ok(written)
    }

    /// Takes the lock of a job that looks like `before`: checks and creates in one transaction, as `member`. A lock that
    /// this session has already is taken again.
    ///
    /// # Errors
    /// [`ZkError::Refused`] or [`ZkError::SessionOver`].
    pub async fn lock(&self, id: &JobId, before: &JobEntry, member: &MemberName) -> Result<Locking, ZkError> {
        let lock = Lock {
            id: id.clone(),
            path: self.session.layout().lock(id),
            owner: self.session.id(),
            own: Arc::new(self.own.begin(id)),
        };
        let mut attempt = 0;
        loop {
            let (created, look) = self.create_lock(&lock, before, member).await;
            let Err(error) = created else {
                if look.is_ok_and(|read| is_unchanged(before, &read)) {
                    return Ok(Locking::Held(lock));
                }
                break;
            };
            if matches!(error, ZkError::Refused(_) | ZkError::SessionOver) {
                return Err(error);
            }
            // NodeExists, a changed job or an unclear reply: what stands there now decides.
            match self.owner_of(&lock).await? {
                Some(owner) if owner == lock.owner => break,
                Some(_) => return Ok(Locking::Taken),
                None => {}
            }
            match self.read_fresh(id).await? {
                JobRead::Job(now) if before.is_unchanged_in(&now) => {}
                other => return Ok(Locking::Overtaken(other)),
            }
            if error == ZkError::NoNode {
                // Job and version are right, so it is the directory of locks that somebody removed.
                self.session
                    .until_clear(|| self.session.ensure_directories())
                    .await?;
            }
            sleep(backoff(attempt, PAUSE_MAX)).await;
            attempt += 1;
        }
        // Whether the lock is for this life of the job: the server that told of the lock knows that.
        match self.overtaken(id, before).await? {
            None => Ok(Locking::Held(lock)),
            Some(now) => {
                self.unlock(lock).await?;
                Ok(Locking::Overtaken(now))
            }
        }
    }

    /// Asks for the lock, and how the job looks then. Both requests are under way at once, and answered in their order: the
    /// server that answers the transaction has applied it, so its own view is new enough.
    async fn create_lock(
        &self,
        lock: &Lock,
        before: &JobEntry,
        member: &MemberName,
    ) -> (Result<(), ZkError>, Result<JobRead, ZkError>) {
        let (client, path) = (self.session.client(), self.session.layout().job(&lock.id));
        let multi = client.multi(&[
            Op::Check {
                path: &path,
                version: before.version,
            },
            Op::Create {
                path: &lock.path,
                data: member.as_str().as_bytes(),
                mode: Mode::Ephemeral,
            },
        ]);
        let look = client.get_data(&path);
        let (created, look) = join(self.session.reply(multi), self.session.reply(look)).await;
        (created, JobRead::from_reply(look))
    }

    /// Whether this session still owns the lock, asked of the leader.
    ///
    /// # Errors
    /// [`ZkError::Refused`] or [`ZkError::SessionOver`].
    pub async fn holds(&self, lock: &Lock) -> Result<bool, ZkError> {
        Ok(lock.owner == self.session.id() && self.owner_of(lock).await? == Some(lock.owner))
    }

    /// Takes the job from `before` to `data` under the lock, which another session's ledger cannot spend.
    ///
    /// # Errors
    /// [`ZkError::Refused`] or [`ZkError::SessionOver`].
    pub async fn set_locked(
        &self,
        lock: &Lock,
        before: &JobEntry,
        data: &JobData,
    ) -> Result<Written, ZkError> {
        self.set_locked_with(lock, before, data, &[]).await
    }

    /// Takes the job from `before` to `data` under the lock, and creates its follow-ups in the same transaction.
    ///
    /// When this ends with [`Written::Yes`], all of them were created, with this data and no other. What it takes to open
    /// them is to be read from their znodes: a transaction tells no zxids that can be relied on.
    ///
    /// # Errors
    /// [`ZkError::Refused`] or [`ZkError::SessionOver`]; [`ZkError::NodeExists`] when the id of a follow-up is that of a
    /// job already, which somebody must have made by hand: these ids follow from the life of the job.
    pub async fn set_locked_with(
        &self,
        lock: &Lock,
        before: &JobEntry,
        data: &JobData,
        follow_ups: &[(JobId, JobData)],
    ) -> Result<Written, ZkError> {
        if lock.owner != self.session.id() {
            return Ok(Written::LockLost);
        }
        let path = self.session.layout().job(&lock.id);
        let bytes = data.to_string().into_bytes();
        let creates = Creates::of_jobs(self.session.layout(), follow_ups);
        if let Some(now) = self.disturbed(lock, before).await? {
            return Ok(Written::Overtaken(now));
        }
        self.write(&lock.id, before, Some(data), || async {
            let mut ops = vec![
                lock.check(),
                Op::Set {
                    path: &path,
                    data: &bytes,
                    version: before.version,
                },
            ];
            ops.extend(creates.ops());
            self.session.reply(self.session.client().multi(&ops)).await
        })
        .await
    }

    /// Deletes the job and its lock in one transaction.
    ///
    /// # Errors
    /// [`ZkError::Refused`], [`ZkError::SessionOver`], or [`ZkError::NotEmpty`] when somebody created znodes below the
    /// job's.
    pub async fn delete_locked(&self, lock: &Lock, before: &JobEntry) -> Result<Written, ZkError> {
        if lock.owner != self.session.id() {
            return Ok(Written::LockLost);
        }
        let path = self.session.layout().job(&lock.id);
        if let Some(now) = self.disturbed(lock, before).await? {
            return Ok(Written::Overtaken(now));
        }
        self.write(&lock.id, before, None, || async {
            let multi = self.session.client().multi(&[
                Op::Delete {
                    path: &path,
                    version: before.version,
                },
                Op::Delete {
                    path: &lock.path,
                    version: 0,
                },
            ]);
            self.session.reply(multi).await
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
                let stat = match self.session.fresh_stat(&lock.path).await? {
                    Some(stat) if stat.ephemeral_owner == lock.owner => stat,
                    _ => return Ok(()),
                };
                let deleted = self.session.client().delete(&lock.path, Some(stat.version));
                match self.session.reply(deleted).await {
                    Err(ZkError::NoNode) => Ok(()),
                    // A stranger wrote to it in between.
                    Err(error @ ZkError::BadVersion) => Err(ZkError::Unclear(error.to_string())),
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
        self.session
            .until_clear(|| async {
                match self.session.fresh_data(lock.path.clone()).await {
                    Ok((_, stat)) => Ok(Some(stat.ephemeral_owner)),
                    Err(ZkError::NoNode) => Ok(None),
                    Err(error) => Err(error),
                }
            })
            .await
    }

    /// What stands there when it is not `before`, as far as this session may know that has the job's lock. As long as the view
    /// knows of no other life of the job than the one that was locked there is nothing to look at. It knows of one as soon as its
    /// follower has processed the event, which may be later than the event's arrival, and than a read's answer would be; until
    /// then the write's own version is all that keeps it from another job of this id.
    async fn disturbed(&self, lock: &Lock, before: &JobEntry) -> Result<Option<JobRead>, ZkError> {
        match lock.own.is_undisturbed() {
            true => Ok(None),
            false => self.overtaken(&lock.id, before).await,
        }
    }

    /// What stands there when it is not `before`, as far as this session may know that has the job's lock.
    async fn overtaken(&self, id: &JobId, before: &JobEntry) -> Result<Option<JobRead>, ZkError> {
        // Nearly always all that it takes. Of a difference a server that lags behind is no judge.
        if self.read(id).await.is_ok_and(|read| is_unchanged(before, &read)) {
            return Ok(None);
        }
        let now = self.read_fresh(id).await?;
        Ok((!is_unchanged(before, &now)).then_some(now))
    }

    /// Sends a versioned write, after a look at the job's life, until it is clear what became of it.
    async fn write<F>(
        &self,
        id: &JobId,
        before: &JobEntry,
        to: Option<&JobData>,
        send: impl Fn() -> F,
    ) -> Result<Written, ZkError>
    where
        F: Future<Output = Result<(), ZkError>>,
    {
        let mut unclear = false;
        let mut attempt = 0;
        loop {
            let reply = send().await;
            match reply {
                Ok(()) => return Ok(Written::Yes),
                Err(error @ (ZkError::Refused(_) | ZkError::SessionOver | ZkError::NotEmpty)) => {
                    return Err(error);
                }
                Err(ZkError::Unclear(_)) => unclear = true,
                Err(_) => {}
            }
            let now = self.read_fresh(id).await?;
            let settled = match &now {
                JobRead::Job(entry) => settle(before, to.map(|to| to.state), Some(entry)),
                JobRead::Gone => settle(before, to.map(|to| to.state), None),
                JobRead::Unreadable(..) => Settled::Overtaken,
            };
            match settled {
                // Our own write may have met itself: an earlier copy took effect, and this one was refused for that.
                Settled::Done if unclear && says(&now, to) => return Ok(Written::Yes),
                Settled::Done | Settled::Overtaken => return Ok(Written::Overtaken(now)),
                // The job is as it was, and still the write was refused: only a lost lock does that.
                Settled::NotDone if matches!(reply, Err(ZkError::NoNode | ZkError::BadVersion)) => {
                    return Ok(Written::LockLost);
                }
                // Nothing that is created along with it can be there, unless somebody made it by hand.
                Settled::NotDone if reply == Err(ZkError::NodeExists) => return Err(ZkError::NodeExists),
                Settled::NotDone => sleep(backoff(attempt, PAUSE_MAX)).await,
            }
            attempt += 1;
        }
    }
}

/// Whether a job is in the same life and state as before.
fn is_unchanged(before: &JobEntry, read: &JobRead) -> bool {
    matches!(read, JobRead::Job(now) if before.is_unchanged_in(now))
}

/// Whether what stands there is what was to be written, to the last word: somebody else may have taken the job to the
/// same state, and have said something else of it. Of a job that was to be deleted there is nothing to compare.
fn says(now: &JobRead, written: Option<&JobData>) -> bool {
    match (now, written) {
        (JobRead::Job(now), Some(written)) => now.data == *written,
        _ => true,
    }
}

const fn is_staged(data: &JobData) -> bool {
    matches!(data.source, distjob_core::Source::Staged(_))
}
