//! Jobs of a group: they come in with their group's znode open, and the last one closes it.

use anyhow::{anyhow, bail};
use distjob_core::{GroupEntry, GroupName, JobData, group::GroupState};
use distjob_runtime::zk::{Created, GroupRead, JobRead, Ledger, Membership, Seat, ZkError};

use super::Staging;

/// A job's place in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// In which group.
    pub group: GroupName,
    /// Whether it is the last one.
    pub seat: Seat,
}

/// What became of creating a member.
enum Admission {
    Answered(Created),
    /// The group is not for it.
    Refused(GroupRead),
}

impl Staging {
    /// Creates the job in its group, which is made if it is the first.
    pub(super) async fn create_member(&self, data: &JobData, place: &Place) -> anyhow::Result<Created> {
        let admission = self
            .reach
            .zookeeper(|ledger| async move {
                match self.admit(&ledger, data, place).await {
                    Err(ZkError::SessionOver) => Ok(Admission::Answered(Created::Absent)),
                    admission => admission,
                }
            })
            .await?;
        match admission {
            Admission::Answered(created) => Ok(created),
            Admission::Refused(found) => Err(self.refusal(&found, &place.group)),
        }
    }

    async fn admit(&self, ledger: &Ledger, data: &JobData, place: &Place) -> Result<Admission, ZkError> {
        let found = ledger.open_group(&place.group, &self.queue).await?;
        let Some(group) = self.if_open(&found) else {
            // It may have been closed by this very job, or have been joined since.
            return Ok(match ledger.read_fresh(&self.id).await? {
                JobRead::Gone => Admission::Refused(found),
                JobRead::Job(entry) if entry.data.source == data.source => {
                    Admission::Answered(Created::Yes(entry))
                }
                other => Admission::Answered(Created::Exists(other)),
            });
        };
        let membership = ledger
            .create_in_group(&self.id, data, &place.group, group, place.seat)
            .await?;
        Ok(Admission::Answered(match membership {
            Membership::Job(created) => created,
            // Whoever asks again finds it as it is now.
            Membership::Overtaken(_) => Created::Absent,
        }))
    }

    /// The group, when it takes jobs like this one.
    fn if_open<'a>(&self, found: &'a GroupRead) -> Option<&'a GroupEntry> {
        match found {
            GroupRead::Group(entry)
                if entry.data.state == GroupState::Open && entry.data.queue == self.queue =>
            {
                Some(entry)
            }
            _ => None,
        }
    }

    fn refusal(&self, found: &GroupRead, group: &GroupName) -> anyhow::Error {
        match found {
            GroupRead::Group(entry) if entry.data.queue != self.queue => anyhow!(
                "group {group} is of jobs in queue {}, not {}: a group has one queue",
                entry.data.queue,
                self.queue
            ),
            GroupRead::Group(_) => anyhow!(
                "group {group} is closed: its last job was submitted with --last. Use another name, or wait until its \
                 jobs are done and it is gone"
            ),
            GroupRead::Unreadable(_, error) => {
                anyhow!("the znode of group {group} is none of a group, its data {error}")
            }
            GroupRead::Gone => anyhow!("group {group} is gone"),
        }
    }

    /// That a job which was to close its group, and was there before, leaves none open for ever.
    pub(super) async fn ensure_closed(&self) -> anyhow::Result<()> {
        let Some(Place {
            group,
            seat: Seat::Last,
        }) = &self.place
        else {
            return Ok(());
        };
        let found = self
            .reach
            .zookeeper(|ledger| async move { ledger.group(group).await })
            .await?;
        if self.if_open(&found).is_some() {
            bail!(
                "job {} was submitted before, and group {group} is still open: close it with a job of another id",
                self.id
            );
        }
        Ok(())
    }
}
