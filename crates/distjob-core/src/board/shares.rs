//! Which jobs are whose, and what changes when members come and go.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Board, Interest, Job, Phase};
use crate::{
    Holder, JobId, QueueName, Roster, Zxid,
    share::{Sharers, Wish},
};

/// A job with what it wants, and whether it is this member's.
type Shared<'a> = (&'a JobId, Wish, bool);

impl Board {
    /// How many jobs are in this member's share. Looks at each job.
    #[must_use]
    pub fn share_len(&self) -> usize {
        self.jobs.values().filter(|job| job.mine).count()
    }

    /// The jobs in this member's share, at most `most`: the oldest ones, oldest first, each with its life.
    #[must_use]
    pub fn oldest_of_share(&self, most: usize) -> Vec<(JobId, Zxid)> {
        let mine = self.jobs.iter().filter(|(_, job)| job.mine);
        let mut ranks: Vec<(Zxid, &JobId)> = mine.map(|(id, job)| (job.entry.life, id)).collect();
        if most < ranks.len() {
            ranks.select_nth_unstable(most);
            ranks.truncate(most);
        }
        ranks.sort_unstable();
        ranks.into_iter().map(|(life, id)| (id.clone(), life)).collect()
    }

    /// Takes notice of the members: whatever was put aside may have become possible. Answers who is proven dead now
    /// and was there before.
    pub fn meet(&mut self, roster: Arc<Roster>, now: Instant) -> Vec<Holder> {
        let departed = roster.departed(&self.roster).collect();
        let is_gone = |name| !roster.members.contains_key(name);
        if self.roster.members.keys().any(is_gone) {
            self.staleness.inherit();
            let parked = |job: &&mut Box<Job>| job.mine && job.phase == Phase::Parked;
            for job in self.jobs.values_mut().filter(parked) {
                job.first = job.first.max(1);
            }
        }
        // Their names, and what they serve.
        let are_others = roster.members != self.roster.members;
        self.roster = roster;
        if are_others {
            self.staleness.outdate();
            self.renew_wishes();
        }
        self.unpark_all(now);
        departed
    }

    /// Brings up to date who shares what, and what each job wants of them: a step for each job and each member that came.
    fn renew_wishes(&mut self) {
        let sharers: BTreeMap<QueueName, Sharers> = self
            .sharers
            .keys()
            .map(|queue| (queue.clone(), self.sharers_of(queue)))
            .collect();
        let since: BTreeMap<&QueueName, _> = sharers
            .iter()
            .map(|(queue, now)| (queue, now.since(&self.sharers[queue])))
            .filter(|(_, since)| !since.is_nothing())
            .collect();
        if !since.is_empty() {
            for job in self.jobs.values_mut() {
                if let Some(since) = since.get(&job.entry.data.queue) {
                    job.wish = since.renew(job.wish);
                }
            }
        }
        self.sharers = sharers;
    }

    /// Whether [`Board::share`] would change anything.
    #[must_use]
    pub fn shares_are_stale(&self) -> bool {
        self.staleness.is_stale()
    }

    /// Whether members came or went, or very many jobs, since shares were last computed: they are no good guess any more.
    #[must_use]
    pub fn shares_are_outdated(&self) -> bool {
        self.staleness.is_outdated(self.jobs.len())
    }

    /// When shares should be computed anew, if they are stale; it may be past. Not for every change: at most a tenth of the
    /// time goes to that after members came or went, or very many jobs; a hundredth where only some jobs did.
    #[must_use]
    pub fn share_at(&self, now: Instant) -> Option<Instant> {
        self.staleness.share_at(self.jobs.len(), now)
    }

    /// Computes all shares anew: some milliseconds for 100,000 jobs, so the caller waits for [`Board::share_at`], and says
    /// afterwards how long it took.
    pub fn share(&mut self, now: Instant) {
        let inherits = self.staleness.refresh();
        let mut queues: BTreeMap<&QueueName, Vec<Shared<'_>>> = BTreeMap::new();
        for (id, job) in &self.jobs {
            let shared = (id, job.wish, job.mine);
            match queues.get_mut(&job.entry.data.queue) {
                Some(jobs) => jobs.push(shared),
                None => drop(queues.insert(&job.entry.data.queue, vec![shared])),
            }
        }
        self.sharers.retain(|queue, _| queues.contains_key(queue));
        let sharing = self.settings.sharing;
        let mut moved: Vec<JobId> = Vec::new();
        for (queue, jobs) in queues {
            let Some(sharers) = self.sharers.get(queue) else {
                continue;
            };
            let mine = sharers.mine(sharing, jobs.iter().map(|(id, wish, _)| (*id, *wish)));
            let changed = jobs.iter().zip(mine).filter(|((.., was), is)| was != is);
            moved.extend(changed.map(|((id, ..), _)| (*id).clone()));
        }
        for id in moved {
            if let Some(job) = self.jobs.get_mut(&id) {
                job.mine = !job.mine;
                if job.mine && inherits {
                    job.first = job.first.max(1);
                }
            }
            self.settle(&id, now);
        }
    }

    /// Takes notice that computing shares was `done` and `took` so long.
    pub fn shared(&mut self, done: Instant, took: Duration) {
        self.staleness.rest(done, took);
    }

    /// The members that count for a queue, and this one, whether the list knows of it yet or not.
    fn sharers_of(&self, queue: &QueueName) -> Sharers {
        match self.settings.interest {
            Interest::Execution(_) => Sharers::new(self.roster.serving(queue), &self.me),
            Interest::Delivery => Sharers::new(self.roster.members.keys(), &self.me),
        }
    }

    /// What a job wants, and whether that is this member: a guess for one that came after shares were last computed. All jobs
    /// of a queue get the same copy of its name.
    pub(super) fn wish(&mut self, id: &JobId, queue: &mut QueueName) -> (Wish, bool) {
        let sharers = match self.sharers.get_key_value(queue) {
            Some((known, sharers)) => {
                queue.clone_from(known);
                sharers
            }
            None => {
                let sharers = self.sharers_of(queue);
                self.sharers.entry(queue.clone()).or_insert(sharers)
            }
        };
        let wish = sharers.wish(id);
        (wish, sharers.likes_me(wish))
    }
}
