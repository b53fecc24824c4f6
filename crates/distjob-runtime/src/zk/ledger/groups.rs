//! Groups: members come in with their jobs, are moved to `done`, and are joined once. See [`distjob_core::group`].
//!
//! # Cancel safety
//! As of [`Ledger`]: a write whose future is dropped may have taken effect, or take it later.

mod answers;
mod clean;

use distjob_core::{GroupData, GroupEntry, GroupName, JobData, JobId, QueueName, group::GroupState};
use tokio::time::sleep;

pub use self::answers::{GroupLook, GroupRead, Joining, Membership, Seat, Settling};
use super::{Created, Creates, JobRead, Ledger, Lock, PAUSE_MAX, is_staged};
use crate::{
    store::backoff,
    zk::{
        ZkError,
        client::{Mode, Op},
    },
};

impl Ledger {
    /// Reads a group after the server has heard of all that happened before the call. Repeats until the answer is clear.
    ///
    /// # Errors
    /// [`ZkError::Refused`] or [`ZkError::SessionOver`].
    pub async fn group(&self, name: &GroupName) -> Result<GroupRead, ZkError> {
        let path = self.session.layout().group(name);
        self.session
            .until_clear(|| async {
                let client = self.session.client();
                let (sync, data) = (client.sync(&path), client.get_data(&path));
                self.session.reply(sync).await?;
                GroupRead::from_reply(self.session.reply(data).await)
            })
            .await
    }

    /// The group, which is made if there is none, for jobs of `queue`.
    ///
    /// # Errors
    /// [`ZkError::Refused`], [`ZkError::SessionOver`], or [`ZkError::NoNode`] without the directories.
    pub async fn open_group(&self, name: &GroupName, queue: &QueueName) -> Result<GroupRead, ZkError> {
        let layout = self.session.layout();
        let data = GroupData::open(queue.clone()).to_string().into_bytes();
        let (group, pending, done) = (
            layout.group(name),
            layout.all_pending(name),
            layout.all_done(name),
        );
        let made =
            [(&group, &data[..]), (&pending, b""), (&done, b"")].map(|(path, data)| create(path, data));
        let mut attempt = 0;
        loop {
            let read = self.group(name).await?;
            if read != GroupRead::Gone {
                return Ok(read);
            }
            match self.session.reply(self.session.client().multi(&made)).await {
                Ok(()) | Err(ZkError::NodeExists) => {}
                Err(ZkError::Unclear(_)) => sleep(backoff(attempt, PAUSE_MAX)).await,
                Err(error) => return Err(error),
            }
            attempt += 1;
        }
    }

    /// Creates a job as a member of the group `name`, which its data should name, and which looked like `group`; one that did
    /// not look open takes no more. One attempt; what to do after [`Created::Absent`] depends on what the store says, as for [`Ledger::create`].
    ///
    /// # Errors
    /// [`ZkError::Refused`], [`ZkError::SessionOver`], or [`ZkError::NoNode`] without the directories.
    pub async fn create_in_group(
        &self,
        id: &JobId,
        data: &JobData,
        name: &GroupName,
        group: &GroupEntry,
        seat: Seat,
    ) -> Result<Membership, ZkError> {
        if group.data.state != GroupState::Open {
            return Ok(Membership::Overtaken(GroupRead::Group(group.clone())));
        }
        let layout = self.session.layout();
        let (path, pending) = (layout.group(name), layout.pending(name, id));
        let closed = group.data.closed().to_string().into_bytes();
        let jobs = Creates::of_jobs(layout, &[(id.clone(), data.clone())]);
        let (version, path) = (group.version, path.as_str());
        let mut ops = vec![
            match seat {
                Seat::Another => Op::Check { path, version },
                Seat::Last => Op::Set {
                    path,
                    data: &closed,
                    version,
                },
            },
            create(&pending, b""),
        ];
        ops.extend(jobs.ops());
        loop {
            let reply = self.session.reply(self.session.client().multi(&ops)).await;
            if let Err(error @ (ZkError::Refused(_) | ZkError::SessionOver)) = reply {
                return Err(error);
            }
            // No zxid of a transaction can be relied on, and after a failure what stands there decides.
            match self.read_fresh(id).await? {
                JobRead::Gone => {}
                JobRead::Job(entry) if entry.data.source == data.source && is_staged(data) => {
                    return Ok(Membership::Job(Created::Yes(entry)));
                }
                other => return Ok(Membership::Job(Created::Exists(other))),
            }
            match self.group(name).await? {
                GroupRead::Group(now) if is_unchanged(group, &now) => {}
                other => return Ok(Membership::Overtaken(other)),
            }
            // Somebody took the job of a member away by hand.
            let there = Op::Check {
                path: &pending,
                version: 0,
            };
            if reply == Err(ZkError::NodeExists) && ops[1] != there {
                ops[1] = there;
                continue;
            }
            return match reply {
                Err(error @ ZkError::NoNode) if ops[1] != there => Err(error),
                _ => Ok(Membership::Job(Created::Absent)),
            };
        }
    }

    /// Notes what is to be said of the member whose lock this is when it is [done](Self::settle_in_group), of which its job's
    /// znode has no room to tell whoever settles it. May be repeated. Nothing happens when it is no member, or done already,
    /// or when the lock is not this session's any more: the next write under the lock says so.
    ///
    /// # Errors
    /// [`ZkError::Refused`] or [`ZkError::SessionOver`].
    pub async fn note_in_group(&self, lock: &Lock, name: &GroupName, about: &[u8]) -> Result<(), ZkError> {
        let pending = self.session.layout().pending(name, &lock.id);
        let mut attempt = 0;
        loop {
            let version = match self.noted(&pending).await? {
                Some((noted, version)) if noted != about => version,
                _ => return Ok(()),
            };
            let set = Op::Set {
                path: &pending,
                data: about,
                version,
            };
            let noted = self.session.client().multi(&[lock.check(), set]);
            match self.session.reply(noted).await {
                Ok(()) => return Ok(()),
                Err(error @ (ZkError::Refused(_) | ZkError::SessionOver)) => return Err(error),
                Err(_) if !self.holds(lock).await? => return Ok(()),
                Err(_) => sleep(backoff(attempt, PAUSE_MAX)).await,
            }
            attempt += 1;
        }
    }

    /// What was noted of a pending member, and in which version; `None` when it is not pending. Asked of the leader.
    async fn noted(&self, pending: &str) -> Result<Option<(Vec<u8>, i32)>, ZkError> {
        self.session
            .until_clear(|| async {
                let client = self.session.client();
                let (sync, data) = (client.sync(pending), client.get_data(pending));
                self.session.reply(sync).await?;
                match self.session.reply(data).await {
                    Ok((data, stat)) => Ok(Some((data, stat.version))),
                    Err(ZkError::NoNode) => Ok(None),
                    Err(error) => Err(error),
                }
            })
            .await
    }

    /// Moves the member whose lock this is from `pending` to `done`, which says what was [noted](Self::note_in_group) of it,
    /// or `about` when nothing was: at most [`DONE_BYTES_MAX`](distjob_core::group::DONE_BYTES_MAX) bytes.
    ///
    /// # Errors
    /// [`ZkError::Refused`] or [`ZkError::SessionOver`].
    pub async fn settle_in_group(
        &self,
        lock: &Lock,
        name: &GroupName,
        about: &[u8],
    ) -> Result<Settling, ZkError> {
        if lock.owner != self.session.id() {
            return Ok(Settling::LockLost);
        }
        let layout = self.session.layout();
        let (pending, done) = (layout.pending(name, &lock.id), layout.done(name, &lock.id));
        let mut was_done_before = false;
        let mut attempt = 0;
        loop {
            let Some((noted, version)) = self.noted(&pending).await? else {
                return Ok(match self.stands(&done).await? {
                    true => Settling::Done,
                    false => Settling::Stranger,
                });
            };
            let about = if noted.is_empty() { about } else { &noted[..] };
            let path = pending.as_str();
            let mut ops = vec![lock.check(), Op::Delete { path, version }];
            if was_done_before {
                ops.push(Op::Delete {
                    path: &done,
                    version: 0,
                });
            }
            ops.push(create(&done, about));
            match self.session.reply(self.session.client().multi(&ops)).await {
                Ok(()) => return Ok(Settling::Done),
                Err(error @ (ZkError::Refused(_) | ZkError::SessionOver)) => return Err(error),
                // An earlier job of this id was done long ago, and this one is a member again.
                Err(ZkError::NodeExists) => was_done_before = true,
                Err(ZkError::NoNode) if was_done_before => was_done_before = false,
                Err(_) if !self.holds(lock).await? => return Ok(Settling::LockLost),
                Err(_) => sleep(backoff(attempt, PAUSE_MAX)).await,
            }
            attempt += 1;
        }
    }

    /// The group and how many members it has, after the server has heard of all that happened before the call; `None`
    /// without a readable one.
    ///
    /// # Errors
    /// [`ZkError::Refused`] or [`ZkError::SessionOver`].
    pub async fn look_at_group(&self, name: &GroupName) -> Result<Option<GroupLook>, ZkError> {
        let layout = self.session.layout();
        let (group, pending, done) = (
            layout.group(name),
            layout.all_pending(name),
            layout.all_done(name),
        );
        self.session
            .until_clear(|| async {
                let client = self.session.client();
                // The group first: once it is closed, those that are pending become fewer and never more.
                let (sync, data) = (client.sync(&group), client.get_data(&group));
                let (pending, done) = (client.check_stat(&pending), client.check_stat(&done));
                self.session.reply(sync).await?;
                let group = GroupRead::from_reply(self.session.reply(data).await)?;
                let (pending, done) = (
                    self.session.reply(pending).await?,
                    self.session.reply(done).await?,
                );
                // Without its directories it is being taken away.
                let (Some(group), Some(pending), Some(done)) = (group.into_group(), pending, done) else {
                    return Ok(None);
                };
                let count = |children| usize::try_from(children).unwrap_or_default();
                Ok(Some(GroupLook {
                    group,
                    pending: count(pending.children),
                    done: count(done.children),
                }))
            })
            .await
    }

    /// Joins the group of the member whose lock this is: from `before`, closed, to joined, and creates what follows in the
    /// same transaction. The member must be done.
    ///
    /// # Errors
    /// [`ZkError::Refused`] or [`ZkError::SessionOver`]; [`ZkError::NodeExists`] when the id of a follow-up is that of a
    /// job already, which somebody must have made by hand: these ids follow from the life of the group.
    pub async fn join_group(
        &self,
        lock: &Lock,
        name: &GroupName,
        before: &GroupEntry,
        follow_ups: &[(JobId, JobData)],
    ) -> Result<Joining, ZkError> {
        if lock.owner != self.session.id() {
            return Ok(Joining::LockLost);
        }
        let layout = self.session.layout();
        let then = follow_ups.iter().map(|(id, _)| id.clone()).collect();
        let joined = before.data.joined(then).to_string().into_bytes();
        let (path, done) = (layout.group(name), layout.done(name, &lock.id));
        let creates = Creates::of_jobs(layout, follow_ups);
        let mut ops = vec![
            lock.check(),
            // Another group of this name, in the same version, does not have this member.
            Op::Check {
                path: &done,
                version: 0,
            },
            Op::Set {
                path: &path,
                data: &joined,
                version: before.version,
            },
        ];
        ops.extend(creates.ops());
        let mut attempt = 0;
        loop {
            let reply = self.session.reply(self.session.client().multi(&ops)).await;
            match reply {
                Ok(()) => return Ok(Joining::Done),
                Err(error @ (ZkError::Refused(_) | ZkError::SessionOver)) => return Err(error),
                Err(_) => {}
            }
            match self.group(name).await? {
                GroupRead::Group(now) if is_unchanged(before, &now) => {}
                other => return Ok(Joining::Overtaken(other)),
            }
            if !self.holds(lock).await? {
                return Ok(Joining::LockLost);
            }
            if reply == Err(ZkError::NodeExists) {
                return Err(ZkError::NodeExists);
            }
            sleep(backoff(attempt, PAUSE_MAX)).await;
            attempt += 1;
        }
    }

    /// Whether there is a znode of this path, asked of the leader.
    async fn stands(&self, path: &str) -> Result<bool, ZkError> {
        let stat = self.session.until_clear(|| self.session.fresh_stat(path)).await?;
        Ok(stat.is_some())
    }
}

const fn create<'a>(path: &'a str, data: &'a [u8]) -> Op<'a> {
    Op::Create {
        path,
        data,
        mode: Mode::Persistent,
    }
}

fn is_unchanged(before: &GroupEntry, now: &GroupEntry) -> bool {
    now.life == before.life && now.version == before.version
}
