//! Which job a member should look at next.
//!
//! A board holds the jobs that concern one executor or one watcher, each in one place:
//!
//! ```text
//!            ┌── ripe, first ─┐   what somebody who is gone may have left
//! seen ──────┼── ripe, mine ──┤   oldest first, going round          settle_at ──► later (back-off, help delay)
//!            │                ├──► next() ──► busy ──► park  ───────► parked: until the members change
//!            └── ripe, other ─┘   only when mine has none   └ ripen ► ripe
//! ```
//!
//! Its own share comes first; with nothing left there a member helps others, a little after a job appeared, so that
//! its owner meets it first. A job of another's share is never out of reach: sharing is a hint, the claim (or the
//! lock) is the grant.
//!
//! What a member held that is gone comes before all else, however many jobs take turns: jobs that became this member's
//! by that departure, its own ones that were parked, and those of which the caller knows that something was given back.
//!
//! Time is passed in. Nothing here is remembered about the stores: a board can be thrown away and filled again.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    ops::Bound,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    Holder, JobData, JobEntry, JobId, JobState, MemberName, QueueName, Roster, Zxid,
    share::{self, Sharing},
};

/// Which jobs concern a member.
#[derive(Clone, Debug)]
pub enum Interest {
    /// An executor: submitted jobs of these queues.
    Execution(BTreeSet<QueueName>),
    /// A watcher: jobs in any state that is for watchers.
    Delivery,
}

impl Interest {
    fn covers(&self, job: &JobData) -> bool {
        match self {
            Self::Execution(queues) => job.state == JobState::Submitted && queues.contains(&job.queue),
            Self::Delivery => job.state.is_for_watchers(),
        }
    }
}

/// How a board shares and helps.
#[derive(Clone, Debug)]
pub struct BoardSettings {
    /// Which jobs concern the member.
    pub interest: Interest,
    /// The rule of sharing.
    pub sharing: Sharing,
    /// How long a job of another's share is left to its owner.
    pub help_after: Duration,
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Ready to be handed out.
    Ripe,
    /// Handed out, or put aside.
    Nowhere,
    /// Ready from then on.
    Later(Instant),
}

#[derive(Debug)]
struct Job {
    entry: JobEntry,
    mine: bool,
    seen_at: Instant,
    /// How often it is still handed out before all others.
    first: u64,
    /// Not to be handed out before.
    not_before: Option<Instant>,
    phase: Phase,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Waiting,
    /// Handed out; `true` when the job, or the members, changed since.
    Busy(bool),
    Parked,
}

/// Age, then name: the order in which jobs are handed out.
type Rank = (Zxid, JobId);

/// The jobs that concern one member, see [the module](self).
#[derive(Debug)]
pub struct Board {
    me: MemberName,
    settings: BoardSettings,
    roster: Arc<Roster>,
    jobs: HashMap<JobId, Job>,
    ripe_first: BTreeSet<Rank>,
    ripe_mine: BTreeSet<Rank>,
    ripe_other: BTreeSet<Rank>,
    later: BTreeSet<(Instant, JobId)>,
    /// The last job handed out: the next one is the next older one after it, round and round.
    last: Option<Rank>,
    shares_are_stale: bool,
    /// Whether a member went since shares were last computed.
    has_heirs: bool,
}

impl Board {
    /// An empty board of member `me`.
    #[must_use]
    pub fn new(me: MemberName, settings: BoardSettings) -> Self {
        Self {
            me,
            settings,
            roster: Arc::default(),
            jobs: HashMap::new(),
            ripe_first: BTreeSet::new(),
            ripe_mine: BTreeSet::new(),
            ripe_other: BTreeSet::new(),
            later: BTreeSet::new(),
            last: None,
            shares_are_stale: false,
            has_heirs: false,
        }
    }

    /// Takes over other settings (the interest stays): shares are computed anew.
    pub fn reconfigure(&mut self, sharing: Sharing, help_after: Duration) {
        self.settings.sharing = sharing;
        self.settings.help_after = help_after;
        self.shares_are_stale = true;
    }

    /// The members as they were last met.
    #[must_use]
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// How many jobs concern this member.
    #[must_use]
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether none does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

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

    /// The job as it was last seen.
    #[must_use]
    pub fn entry(&self, id: &JobId) -> Option<&JobEntry> {
        self.jobs.get(id).map(|job| &job.entry)
    }

    /// Takes notice of a job (`None`: it is gone). A job that was put aside is looked at again when it changed.
    pub fn see(&mut self, id: &JobId, entry: Option<JobEntry>, now: Instant) {
        let Some(entry) = entry.filter(|entry| self.settings.interest.covers(&entry.data)) else {
            self.remove(id);
            return;
        };
        if self.jobs.get(id).is_some_and(|job| job.entry.life != entry.life) {
            self.remove(id);
        }
        match self.jobs.get_mut(id) {
            Some(job) if job.entry == entry => {}
            Some(job) => {
                job.entry = entry;
                job.not_before = None;
                job.phase = if matches!(job.phase, Phase::Busy(_)) {
                    Phase::Busy(true)
                } else {
                    Phase::Waiting
                };
                self.settle(id, now);
            }
            None => {
                let mine = self.prefers_me(id, &entry.data.queue);
                let (place, phase) = (Place::Nowhere, Phase::Waiting);
                let job = Job {
                    entry,
                    mine,
                    seen_at: now,
                    first: 0,
                    not_before: None,
                    phase,
                    place,
                };
                self.jobs.insert(id.clone(), job);
                self.shares_are_stale = true;
                self.settle(id, now);
            }
        }
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
            self.lift(&id);
            self.settle(&id, now);
        }
    }

    /// The next job to look at, which is then busy until it is parked, ripened or settled for later.
    #[must_use]
    pub fn next(&mut self, now: Instant) -> Option<JobId> {
        self.wake(now);
        if let Some((_, id)) = self.ripe_first.first().cloned() {
            // The others go on afterwards where they were.
            return Some(self.hand_out(id));
        }
        let ripe = if self.ripe_mine.is_empty() {
            &self.ripe_other
        } else {
            &self.ripe_mine
        };
        let after = self.last.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let rank = ripe
            .range((after, Bound::Unbounded))
            .next()
            .or_else(|| ripe.first())?
            .clone();
        let id = rank.1.clone();
        self.last = Some(rank);
        Some(self.hand_out(id))
    }

    fn hand_out(&mut self, id: JobId) -> JobId {
        self.lift(&id);
        if let Some(job) = self.jobs.get_mut(&id) {
            job.phase = Phase::Busy(false);
            job.first = job.first.saturating_sub(1);
        }
        id
    }

    /// Hands out this very job, unless it is handed out already.
    #[must_use]
    pub fn take(&mut self, id: &JobId) -> Option<JobEntry> {
        self.lift(id);
        let job = self
            .jobs
            .get_mut(id)
            .filter(|job| !matches!(job.phase, Phase::Busy(_)))?;
        job.phase = Phase::Busy(false);
        Some(job.entry.clone())
    }

    /// When [`Board::next`] may have something that it does not have now.
    #[must_use]
    pub fn wakes_at(&self) -> Option<Instant> {
        self.later.first().map(|(at, _)| *at)
    }

    /// The job can be handed out again at once.
    pub fn ripen(&mut self, id: &JobId, now: Instant) {
        self.release(id, None, now);
    }

    /// The next `times` that the job is handed out come before all others: so many ranges of somebody who is gone wait in
    /// it to be taken. When it can be handed out does not change.
    pub fn put_first(&mut self, id: &JobId, times: u64, now: Instant) {
        if let Some(job) = self.jobs.get_mut(id) {
            job.first = job.first.max(times);
            self.settle(id, now);
        }
    }

    /// The job can be handed out again at `at`, or when it changes.
    pub fn settle_at(&mut self, id: &JobId, at: Instant, now: Instant) {
        self.release(id, Some(at), now);
    }

    /// There is nothing to do for the job until it, or the members, change. If they did since it was handed out, it is
    /// ripe again.
    pub fn park(&mut self, id: &JobId, now: Instant) {
        match self.jobs.get_mut(id) {
            Some(Job {
                phase: phase @ Phase::Busy(false),
                ..
            }) => *phase = Phase::Parked,
            Some(_) => self.release(id, None, now),
            None => {}
        }
    }

    /// Looks again at all that was parked.
    pub fn unpark_all(&mut self, now: Instant) {
        let mut parked = Vec::new();
        for (id, job) in &mut self.jobs {
            match job.phase {
                Phase::Parked => {
                    job.phase = Phase::Waiting;
                    parked.push(id.clone());
                }
                Phase::Busy(_) => job.phase = Phase::Busy(true),
                Phase::Waiting => {}
            }
        }
        parked.iter().for_each(|id| self.settle(id, now));
    }

    fn release(&mut self, id: &JobId, not_before: Option<Instant>, now: Instant) {
        if let Some(job) = self.jobs.get_mut(id) {
            let changed = job.phase == Phase::Busy(true);
            job.phase = Phase::Waiting;
            job.not_before = not_before.filter(|_| !changed);
            self.settle(id, now);
        }
    }

    fn remove(&mut self, id: &JobId) {
        self.lift(id);
        self.shares_are_stale |= self.jobs.remove(id).is_some();
    }

    /// Takes the job out of wherever it waits.
    fn lift(&mut self, id: &JobId) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        match std::mem::replace(&mut job.place, Place::Nowhere) {
            Place::Ripe => {
                let rank = (job.entry.life, id.clone());
                for ripe in [&mut self.ripe_first, &mut self.ripe_mine, &mut self.ripe_other] {
                    ripe.remove(&rank);
                }
            }
            Place::Later(at) => {
                self.later.remove(&(at, id.clone()));
            }
            Place::Nowhere => {}
        }
    }

    /// Puts a waiting job where it belongs.
    fn settle(&mut self, id: &JobId, now: Instant) {
        self.lift(id);
        let Some(job) = self.jobs.get_mut(id) else { return };
        if job.phase != Phase::Waiting {
            return;
        }
        let helpable = (!job.mine).then(|| job.seen_at + self.settings.help_after);
        match job.not_before.max(helpable).filter(|at| *at > now) {
            Some(at) => {
                job.place = Place::Later(at);
                self.later.insert((at, id.clone()));
            }
            None => {
                job.place = Place::Ripe;
                let ripe = match (job.first, job.mine) {
                    (1.., _) => &mut self.ripe_first,
                    (0, true) => &mut self.ripe_mine,
                    (0, false) => &mut self.ripe_other,
                };
                ripe.insert((job.entry.life, id.clone()));
            }
        }
    }

    /// Makes ripe whatever has become so by now; [`Board::wakes_at`] is later than `now` afterwards.
    pub fn wake(&mut self, now: Instant) {
        while self.later.first().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, id)) = self.later.pop_first() {
                self.settle(&id, now);
            }
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
    fn prefers_me(&self, id: &JobId, queue: &QueueName) -> bool {
        let members = self.members(queue);
        share::preferred(id.as_str(), &members).is_none_or(|owner| members[owner] == self.me)
    }
}

#[cfg(test)]
mod tests;
