//! Which job a member should look at next.
//!
//! A board holds the jobs that concern one executor or one watcher, each in one place:
//!
//! ```text
//!            ┌── ripe, first ─┐   what somebody who is gone may have left
//! seen ──────┼── ripe, mine ──┤   oldest first, going round          settle_at ──► later (back-off, help delay)
//!            │                ├──► next() ──► busy ──► park  ───────► parked: until the members change, or a while
//!            └── ripe, other ─┘   only when mine has none   └ ripen ► ripe
//! ```
//!
//! An executor has such a picture for each queue that it serves, and first chooses the queue: by [`turns`](crate::turns).
//! All jobs of a watcher are of one kind.
//!
//! Its own share comes first; with nothing left there a member helps others, a little after a job appeared, so that
//! its owner meets it first; in a large cluster a few do at first, and more and more as time passes. A job of another's
//! share is never out of reach: sharing is a hint, the claim (or the lock) is the grant.
//!
//! What a member held that is gone comes before all else, however many jobs take turns: jobs that became this member's
//! by that departure, its own ones that were parked, and those of which the caller knows that something was given back.
//!
//! Time is passed in. Nothing here is remembered about the stores: a board can be thrown away and filled again.

mod helping;
mod ripe;
mod shares;
mod staleness;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use self::{
    ripe::{Class, Ripe},
    staleness::Staleness,
};
use crate::{
    JobData, JobEntry, JobId, JobState, MemberName, QueueName, Roster, Zxid,
    share::{Sharers, Sharing, Wish},
    turns::Precedence,
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
    /// Whether a job that looks like this is one of them.
    #[must_use]
    pub fn covers(&self, job: &JobData) -> bool {
        match self {
            Self::Execution(queues) => job.state == JobState::Submitted && queues.contains(&job.queue),
            Self::Delivery => job.state.is_for_watchers(),
        }
    }

    /// With which queue's jobs the job takes turns.
    fn queue_of(&self, job: &JobData) -> QueueName {
        match self {
            Self::Execution(_) => job.queue.clone(),
            Self::Delivery => QueueName::default_queue(),
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
    /// How long a job of another's share is left to its owner. Then some help, and each time that it has passed again
    /// twice as many.
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
    /// How often it was parked for a while since something happened to it.
    whiles: u32,
    /// How many of its tasks nobody has, as the caller last heard.
    left: Option<u64>,
    /// What it wants of the members that share its queue.
    wish: Wish,
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

/// The first and the longest time for which a job is parked [for a while](Board::park_for_a_while).
const WHILE: Duration = Duration::from_millis(250);
const WHILE_MAX: Duration = Duration::from_secs(4);

/// Age, then name: the order in which jobs are handed out.
type Rank = (Zxid, JobId);

/// The jobs that concern one member, see [the module](self).
#[derive(Debug)]
pub struct Board {
    me: MemberName,
    settings: BoardSettings,
    roster: Arc<Roster>,
    /// Boxed: there may be very many, and a table has twice the room that it needs at times.
    jobs: HashMap<JobId, Box<Job>>,
    ripe: Ripe,
    later: BTreeSet<(Instant, JobId)>,
    /// Who shares the jobs of each queue, of those on the roster; every wish is one of them.
    sharers: BTreeMap<QueueName, Sharers>,
    staleness: Staleness,
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
            ripe: Ripe::default(),
            later: BTreeSet::new(),
            sharers: BTreeMap::new(),
            staleness: Staleness::default(),
        }
    }

    /// Takes over other settings (the interest stays): shares are computed anew.
    pub fn reconfigure(&mut self, sharing: Sharing, help_after: Duration) {
        self.settings.sharing = sharing;
        self.settings.help_after = help_after;
        self.staleness.outdate();
    }

    /// Says how a queue stands to the others from now on. One that was never named has the default precedence.
    pub fn set_precedence(&mut self, queue: &QueueName, precedence: Precedence) {
        self.ripe.set(queue, precedence);
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

    /// The job as it was last seen.
    #[must_use]
    pub fn entry(&self, id: &JobId) -> Option<&JobEntry> {
        self.jobs.get(id).map(|job| &job.entry)
    }

    /// Takes notice of a job (`None`: it is gone). A job that was put aside is looked at again when it changed.
    pub fn see(&mut self, id: &JobId, entry: Option<JobEntry>, now: Instant) {
        let Some(mut entry) = entry.filter(|entry| self.settings.interest.covers(&entry.data)) else {
            self.remove(id);
            return;
        };
        if self.jobs.get(id).is_some_and(|job| job.entry.life != entry.life) {
            self.remove(id);
        }
        if self.jobs.get(id).is_some_and(|job| job.entry == entry) {
            return;
        }
        // The queue by which it stands somewhere, or is shared, may change, too.
        self.lift(id);
        let (wish, likes_me) = self.wish(id, &mut entry.data.queue);
        match self.jobs.get_mut(id) {
            Some(job) => {
                job.entry = entry;
                job.wish = wish;
                job.not_before = None;
                job.whiles = 0;
                job.phase = if matches!(job.phase, Phase::Busy(_)) {
                    Phase::Busy(true)
                } else {
                    Phase::Waiting
                };
                self.settle(id, now);
            }
            None => {
                let (place, phase) = (Place::Nowhere, Phase::Waiting);
                let job = Job {
                    entry,
                    mine: likes_me,
                    seen_at: now,
                    first: 0,
                    not_before: None,
                    whiles: 0,
                    left: None,
                    wish,
                    phase,
                    place,
                };
                self.jobs.insert(id.clone(), Box::new(job));
                self.staleness.drift();
                self.settle(id, now);
            }
        }
    }

    /// Takes notice of what this member itself made of a job that was handed out to it as `before`: that is no news, whether
    /// it was heard of already or will be. What others made of the job is news all the same, and one that is gone stays so.
    pub fn see_own(&mut self, id: &JobId, before: &JobEntry, after: &JobEntry) {
        let busy = |job: &&mut Box<Job>| matches!(job.phase, Phase::Busy(_));
        let Some(job) = self.jobs.get_mut(id).filter(busy) else {
            return;
        };
        if job.entry == *before {
            job.entry = after.clone();
        } else if job.entry == *after {
            job.phase = Phase::Busy(false);
        }
    }

    /// The next job to look at, of a queue that `may` have one; it is then busy until it is parked, ripened or settled for
    /// later. A watcher's jobs are all asked for as those of the default queue.
    #[must_use]
    pub fn next(&mut self, now: Instant, may: impl Fn(&QueueName) -> bool) -> Option<JobId> {
        self.next_unless(now, may, |_| false)
    }

    /// As [`Board::next`], but nothing when it is the turn of a queue that may, and of which a job `will_be_ripe` in a moment:
    /// while a queue's only job is being visited, the others shall not take what is its share.
    #[must_use]
    pub fn next_unless(
        &mut self,
        now: Instant,
        may: impl Fn(&QueueName) -> bool,
        will_be_ripe: impl Fn(&QueueName) -> bool,
    ) -> Option<JobId> {
        self.wake(now);
        let id = self.ripe.next(may, will_be_ripe)?;
        Some(self.hand_out(id))
    }

    /// Whether there is a job that [`Board::next`] would hand out if its queue may.
    #[must_use]
    pub fn has_ripe(&self, queue: &QueueName) -> bool {
        self.ripe.has(queue)
    }

    /// Whether it is sooner the turn of one queue than of the other, if both have work.
    #[must_use]
    pub fn goes_before(&self, one: &QueueName, other: &QueueName) -> bool {
        self.ripe.goes_before(one, other)
    }

    /// Counts service that a queue will get: so long, of one slot.
    pub fn charge(&mut self, queue: &QueueName, expected: Duration) {
        self.ripe.charge(queue, expected);
    }

    /// Counts instead of what was charged as `expected` what it took in truth.
    pub fn correct(&mut self, queue: &QueueName, expected: Duration, actual: Duration) {
        self.ripe.correct(queue, expected, actual);
    }

    /// How many of the job's tasks nobody had when the caller last [said](Board::note_left) so; all of them before.
    #[must_use]
    pub fn left(&self, id: &JobId) -> Option<u64> {
        self.jobs
            .get(id)
            .map(|job| job.left.unwrap_or(job.entry.data.count))
    }

    /// Takes notice of how many of the job's tasks nobody has.
    pub fn note_left(&mut self, id: &JobId, life: Zxid, left: u64) {
        if let Some(job) = self.jobs.get_mut(id).filter(|job| job.entry.life == life) {
            job.left = Some(left);
        }
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
            Some(job) if job.phase == Phase::Busy(false) => job.phase = Phase::Parked,
            Some(_) => self.release(id, None, now),
            None => {}
        }
    }

    /// As [`Board::park`]; but somebody who is alive may give something of the job back, which nobody hears of, so it is
    /// ripe again after a while, which is longer each time.
    pub fn park_for_a_while(&mut self, id: &JobId, now: Instant) {
        self.park(id, now);
        let Some(job) = self.jobs.get_mut(id).filter(|job| job.phase == Phase::Parked) else {
            return;
        };
        let pause = WHILE.saturating_mul(1 << job.whiles.min(8)).min(WHILE_MAX);
        job.whiles += 1;
        job.place = Place::Later(now + pause);
        self.later.insert((now + pause, id.clone()));
    }

    /// Looks again at this job if it was parked; if it is busy, once more afterwards.
    pub fn unpark(&mut self, id: &JobId, now: Instant) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        job.whiles = 0;
        match job.phase {
            Phase::Parked => {
                job.phase = Phase::Waiting;
                self.settle(id, now);
            }
            Phase::Busy(_) => job.phase = Phase::Busy(true),
            Phase::Waiting => {}
        }
    }

    /// Looks again at all that was parked.
    pub fn unpark_all(&mut self, now: Instant) {
        let mut parked = Vec::new();
        for (id, job) in &mut self.jobs {
            job.whiles = 0;
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
            job.whiles = 0;
            job.not_before = not_before.filter(|_| !changed);
            self.settle(id, now);
        }
    }

    fn remove(&mut self, id: &JobId) {
        self.lift(id);
        if self.jobs.remove(id).is_some() {
            self.staleness.drift();
        }
    }

    /// Takes the job out of wherever it waits.
    fn lift(&mut self, id: &JobId) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        match std::mem::replace(&mut job.place, Place::Nowhere) {
            Place::Ripe => {
                let queue = self.settings.interest.queue_of(&job.entry.data);
                self.ripe.remove(&queue, &(job.entry.life, id.clone()));
            }
            Place::Later(at) => {
                self.later.remove(&(at, id.clone()));
            }
            Place::Nowhere => {}
        }
    }

    /// Puts a waiting job where it belongs.
    fn settle(&mut self, id: &JobId, now: Instant) {
        // Who is parked for a while stays so.
        if self.jobs.get(id).is_none_or(|job| job.phase != Phase::Waiting) {
            return;
        }
        self.lift(id);
        let Some(job) = self.jobs.get_mut(id) else { return };
        let helpable = (!job.mine).then(|| {
            let sharers = self.sharers.get(&job.entry.data.queue);
            let rank = sharers.map_or(0, |sharers| sharers.rank(job.wish));
            job.seen_at + helping::delay(self.settings.help_after, rank)
        });
        match job.not_before.max(helpable).filter(|at| *at > now) {
            Some(at) => {
                job.place = Place::Later(at);
                self.later.insert((at, id.clone()));
            }
            None => {
                job.place = Place::Ripe;
                let class = match (job.first, job.mine) {
                    (1.., _) => Class::First,
                    (0, true) => Class::Mine,
                    (0, false) => Class::Other,
                };
                let queue = self.settings.interest.queue_of(&job.entry.data);
                self.ripe.insert(&queue, class, (job.entry.life, id.clone()));
            }
        }
    }

    /// Makes ripe whatever has become so by now; [`Board::wakes_at`] is later than `now` afterwards.
    pub fn wake(&mut self, now: Instant) {
        while self.later.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, id)) = self.later.pop_first() else {
                return;
            };
            if let Some(job) = self.jobs.get_mut(&id).filter(|job| job.phase == Phase::Parked) {
                job.phase = Phase::Waiting;
            }
            self.settle(&id, now);
        }
    }
}
