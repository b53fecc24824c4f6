//! How long it takes until others do the work of a daemon that was killed.
//!
//! What the dead one held is read after its death: its leases stay until somebody proves it dead, its locks until its
//! session is over. It is recovered when the first of it is seen elsewhere.

use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, sleep};

use super::{Post, Stage};
use crate::history::{Event, Role};
use crate::stores::{Job, Member};

/// Between two looks: the error of the measure.
const EVERY: Duration = Duration::from_millis(20);
/// How long a daemon that holds nothing is given to take hold of something, so that its death matters.
const IDLE_FOR: Duration = Duration::from_secs(3);
/// Beyond this nothing is measured any more; the checker sees what never ends.
const AT_MOST: Duration = Duration::from_secs(60);

/// A piece of work that somebody held when it was killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// A range of a job's tasks.
    Range {
        /// The job.
        id: String,
        /// Which life of it.
        life: i64,
        /// The end of the lease, which names it.
        hi: u64,
        /// Where it began.
        lo: u64,
    },
    /// The lock of a job.
    Lock {
        /// The job.
        id: String,
        /// Which life of it.
        life: i64,
    },
}

impl Stage {
    /// What a member holds at this moment.
    async fn held_by(&self, role: Role, member: &Member) -> Result<Vec<Held>> {
        let jobs = self.stores.jobs().await?;
        let mut held = Vec::new();
        if role == Role::Watcher {
            let locks = self.stores.locks().await?;
            let mine = locks.into_iter().filter(|(_, owner)| *owner == member.name);
            held.extend(mine.filter_map(|(id, _)| {
                Some(Held::Lock {
                    life: jobs.get(&id)?.life,
                    id,
                })
            }));
            return Ok(held);
        }
        for (id, Job { life, .. }) in jobs.iter().filter(|(_, job)| job.state == "subm") {
            let leases = self.stores.leases(id).await?;
            let ranges = leases.get(&member.name).into_iter().flatten();
            held.extend(ranges.map(|&(lo, hi)| Held::Range {
                id: id.clone(),
                life: *life,
                hi,
                lo,
            }));
        }
        Ok(held)
    }

    /// Returns when the member holds something, or has not for a while.
    pub(crate) async fn until_busy(&self, role: Role, member: &Member) {
        let deadline = Instant::now() + IDLE_FOR;
        while Instant::now() < deadline {
            // While a store is away nobody takes hold of anything.
            if self
                .held_by(role, member)
                .await
                .is_ok_and(|held| !held.is_empty())
            {
                return;
            }
        }
    }

    /// Records when the first work of `member`, killed at `from_ms`, was seen elsewhere; nothing when it held nothing.
    pub(crate) async fn record_recovery(&self, post: &Post, member: &Member, from_ms: u64) {
        let (role, process) = (post.role(), post.name());
        let Ok(held) = self.held_by(role, member).await else {
            return;
        };
        let deadline = Instant::now() + AT_MOST;
        while !held.is_empty() && Instant::now() < deadline {
            for held in &held {
                if self.is_elsewhere(held, member).await.unwrap_or(false) {
                    let to_ms = self.recorder.now_ms();
                    self.recorder.record(Event::Recovered {
                        role,
                        process: process.to_owned(),
                        from_ms,
                        to_ms,
                    });
                    return;
                }
            }
            sleep(EVERY).await;
        }
    }

    async fn is_elsewhere(&self, held: &Held, dead: &Member) -> Result<bool> {
        let jobs = self.stores.jobs().await?;
        Ok(match held {
            Held::Lock { id, life } => jobs.get(id).is_none_or(|job| job.life != *life),
            Held::Range { id, life, lo, hi } => {
                // A job that is over, or nearly so, was done by others.
                if jobs
                    .get(id)
                    .is_none_or(|job| job.life != *life || job.state != "subm")
                {
                    return Ok(true);
                }
                // First the lease, then the list: a range that is given back meanwhile is found there.
                let is_held = self.stores.leases(id).await?.contains_key(&dead.name);
                let freed = self.stores.freed(id).await?;
                let waits = freed
                    .iter()
                    .any(|(freed_lo, freed_hi)| freed_lo < hi && lo < freed_hi);
                !is_held && !waits
            }
        })
    }
}
