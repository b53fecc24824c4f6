//! What the reads and writes of groups answer.

use distjob_core::{
    GroupData, GroupEntry, Zxid,
    group::{GroupDataError, GroupStep},
};

use crate::zk::{Created, ZkError, client::Stat};

/// What the znode of a group shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupRead {
    /// A group.
    Group(GroupEntry),
    /// A znode of somebody else's, or a damaged one, in this life.
    Unreadable(Zxid, GroupDataError),
    /// No znode.
    Gone,
}

impl GroupRead {
    /// The group, when there is a readable one.
    #[must_use]
    pub fn into_group(self) -> Option<GroupEntry> {
        match self {
            Self::Group(entry) => Some(entry),
            Self::Unreadable(..) | Self::Gone => None,
        }
    }

    pub(super) fn from_reply(reply: Result<(Vec<u8>, Stat), ZkError>) -> Result<Self, ZkError> {
        let (data, stat) = match reply {
            Ok(found) => found,
            Err(ZkError::NoNode) => return Ok(Self::Gone),
            Err(error) => return Err(error),
        };
        let life = Zxid::from(stat.czxid);
        Ok(match GroupData::parse(&data) {
            Ok(data) => Self::Group(GroupEntry {
                data,
                life,
                version: stat.version,
            }),
            Err(error) => Self::Unreadable(life, error),
        })
    }
}

/// A group and its members, at one look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupLook {
    /// The group.
    pub group: GroupEntry,
    /// How many members were not done when the group looked like this, or a little later.
    pub pending: usize,
    /// How many were done then.
    pub done: usize,
}

impl GroupLook {
    /// What a watcher does about it, see [`GroupStep::of`].
    #[must_use]
    pub const fn step(&self) -> GroupStep {
        GroupStep::of(&self.group.data, self.pending)
    }
}

/// Whether a job is the last one of its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seat {
    /// More may come.
    Another,
    /// No more: it closes the group.
    Last,
}

/// What became of creating a job in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Membership {
    /// As of a job without a group; [`Created::Absent`] when the group is as it was, and so is the rest.
    Job(Created),
    /// There is no such job, and the group is not what the caller saw any more. If a reply was unclear, the job may have
    /// come and gone: the store knows.
    Overtaken(GroupRead),
}

/// What became of moving a member to `done`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settling {
    /// It is done, by this call or since an earlier one.
    Done,
    /// It is no member: its group has been joined and cleaned away, and what stands there by this name, if anything, is
    /// another one.
    Stranger,
    /// The job's lock is not this session's any more.
    LockLost,
}

/// What became of joining a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Joining {
    /// It is joined, by this call: what follows was created with this data and no other.
    Done,
    /// It is not what the caller saw any more. It may be joined, by somebody else or by this call, whose reply got lost: go by
    /// what the znodes say, and leave what was staged to expire by itself.
    Overtaken(GroupRead),
    /// The job's lock is not this session's any more.
    LockLost,
}
