//! Which jobs are whose, and what changes when members come and go.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Instant,
};

use super::{Board, Interest, Job, Phase, Rank};
use crate::{Holder, JobId, MemberName, QueueName, Roster, Zxid, share};

impl Board {
    /// How many jobs are in this member's share.
    #[must_use]
    pub fn share_len(&self) -> usize {
        self.jobs.values().filter(|job| job.mine).count()
    }

    /// The jobs in this member's share, at most `most`: the oldest ones, oldest first, each with its life.
    #[must_use]
    pub fn oldest_of_share(&self, most: usize) -> Vec<(JobId, Zxid)> {
        let mine = self.jobs.iter().filter(|(_, job)| job.mine);
        let mut ranks: Vec<Rank> = mine.map(|(id, job)| (job.entry.life, id.clone())).collect();
        ranks.sort_unstable();
        ranks.truncate(most);
        ranks.into_iter().map(|(life, id)| (id, life)).collect()
    }

    /// Takes notice of the members: whatever was put aside may have become possible. Answers who is proven dead now
    /// and was there before.
    pub fn meet(&mut self, roster: Arc<Roster>, now: Instant) -> Vec<Holder> {
        let same_names = roster.members.keys().eq(self.roster.members.keys());
        self.shares_are_stale |= !same_names;
        let departed = roster.departed(&self.roster).collect();
        let is_gone = |name| !roster.members.contains_key(name);
        if self.roster.members.keys().any(is_gone) {
            self.has_heirs = true;
            let parked = |job: &&mut Job| job.mine && job.phase == Phase::Parked;
            for job in self.jobs.values_mut().filter(parked) {
                job.first = job.first.max(1);
            }
        }
        self.roster = roster;
        self.unpark_all(now);
        departed
    }

    /// Whether [`Board::share`] would change anything.
    #[must_use]
    pub fn shares_are_stale(&self) -> bool {
        self.shares_are_stale
    }

    /// Computes all shares anew: some milliseconds for 100,000 jobs, so the caller does not do it for every change.
    pub fn share(&mut self, now: Instant) {
        self.shares_are_stale = false;
        let inherits = std::mem::take(&mut self.has_heirs);
        let mut queues: BTreeMap<&QueueName, Vec<&JobId>> = BTreeMap::new();
        for (id, job) in &self.jobs {
            queues.entry(&job.entry.data.queue).or_default().push(id);
        }
        let mut mine = HashSet::new();
        for (queue, ids) in queues {
            let members = self.members(queue);
            let owners = share::assign(self.settings.sharing, &ids, &members);
            let owned = ids
                .into_iter()
                .zip(owners)
                .filter(|(_, owner)| members[*owner] == self.me);
            mine.extend(owned.map(|(id, _)| id.clone()));
        }
        let moved: Vec<JobId> = self
            .jobs
            .iter_mut()
            .filter(|(id, job)| job.mine != mine.contains(*id))
            .map(|(id, job)| {
                job.mine = !job.mine;
                if job.mine && inherits {
                    job.first = job.first.max(1);
                }
                id.clone()
            })
            .collect();
        for id in moved {
            self.settle(&id, now);
        }
    }

    /// The members that count for a queue, and this one, whether the list knows of it yet or not.
    fn members(&self, queue: &QueueName) -> Vec<MemberName> {
        let mut members: Vec<MemberName> = match self.settings.interest {
            Interest::Execution(_) => self.roster.serving(queue).cloned().collect(),
            Interest::Delivery => self.roster.members.keys().cloned().collect(),
        };
        if let Err(position) = members.binary_search(&self.me) {
            members.insert(position, self.me.clone());
        }
        members
    }

    /// A guess for a job that came after shares were last computed.
    pub(super) fn prefers_me(&self, id: &JobId, queue: &QueueName) -> bool {
        let members = self.members(queue);
        share::preferred(id.as_str(), &members).is_none_or(|owner| members[owner] == self.me)
    }
}
