//! The queues that are served, each with its bounds and with what of it is going on here.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    time::{Duration, Instant},
};

use distjob_core::{
    QueueName, Roster, Switchboard,
    rate::{Limit, Tokens},
    turns::Precedence,
};

use distjob_runtime::store::StoreError;

use super::{purse::Purse, waiting::Waiting};
use crate::{
    config::{Config, QueueConfig},
    lease::{Later, Work},
    metrics::{ExecutorMetrics, QueueMetrics},
};

/// A queue of which so many tasks wait for another attempt claims nothing: whatever its tasks need is not there.
const WAITING_MAX: usize = 1000;

/// One queue.
#[derive(Debug)]
pub(super) struct Lane {
    /// How it stands to the others.
    pub(super) precedence: Precedence,
    /// Most tasks of it at once.
    pub(super) limit: usize,
    /// How many slots all members have for it, those of this one among them when it is listed.
    slots_of_all: u64,
    /// How many of its tasks may begin in a time, and at once.
    rate: Option<Limit>,
    /// Whether nothing of it may begin.
    pub(super) is_paused: bool,
    /// Until when nothing of it can be run here, whatever others can.
    rests_until: Option<Instant>,
    /// Leases of it that run.
    pub(super) running: usize,
    /// Visits under way that are to bring one.
    pub(super) claiming: usize,
    /// All visits under way, and leases that wait for a slot.
    pub(super) coming: usize,
    /// Tasks that wait for another attempt.
    pub(super) waiting: Waiting<Work>,
    /// What is counted.
    pub(super) metrics: QueueMetrics,
    /// What is left of the tokens that its rate allows us.
    pub(super) purse: Purse,
    /// Whether what was claimed last has so few bytes that many claims like it may wait in memory.
    pub(super) is_light: bool,
}

impl Lane {
    fn new(config: &QueueConfig, slots: usize, metrics: QueueMetrics) -> Self {
        let mut lane = Self {
            precedence: Precedence::default(),
            limit: 0,
            slots_of_all: 0,
            rate: None,
            is_paused: true,
            rests_until: None,
            running: 0,
            claiming: 0,
            coming: 0,
            waiting: Waiting::default(),
            metrics,
            purse: Purse::default(),
            is_light: false,
        };
        lane.configure(config, slots);
        lane
    }

    fn configure(&mut self, config: &QueueConfig, slots: usize) {
        let concurrency = usize::try_from(config.concurrency).unwrap_or(usize::MAX);
        self.limit = if concurrency == 0 {
            slots
        } else {
            concurrency.min(slots)
        };
        self.precedence = Precedence {
            priority: config.priority,
            weight: config.weight,
        };
        self.rate = Limit::new(config.rate, config.burst);
    }

    /// How many slots share its jobs, as far as is known.
    pub(super) fn sharing_slots(&self) -> u64 {
        self.slots_of_all.max(self.limit as u64)
    }

    /// Says what is going on.
    pub(super) fn measure(&self) {
        for (gauge, value) in [
            (&self.metrics.running, self.running),
            (&self.metrics.waiting, self.waiting.len()),
            (&self.metrics.paused, usize::from(self.is_paused)),
        ] {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
    }

    /// Whether something of it may be claimed, when so many leases may wait for a slot beside those that run.
    pub(super) fn may_claim(&self, ahead: usize) -> bool {
        let has_room = self.running + self.coming < self.limit + ahead;
        has_room && self.is_open() && self.waiting.len() < WAITING_MAX && self.has_tokens()
    }

    /// Whether something that was claimed may begin.
    pub(super) fn may_begin(&self) -> bool {
        self.is_open() && self.running < self.limit
    }

    /// Whether something of it may be asked for, or begin, if there is room.
    pub(super) fn is_open(&self) -> bool {
        !self.is_paused && self.rests_until.is_none()
    }

    /// Nothing of it can be run here before that.
    pub(super) fn rest(&mut self, until: Instant) {
        self.rests_until = self.rests_until.max(Some(until));
    }

    /// So many tasks that tokens were spent on never began.
    pub(super) fn take_back(&mut self, tasks: u64) {
        if self.rate.is_some() {
            self.purse.put_back(tasks);
        }
    }

    /// When the first of its waiting tasks is due, if it may begin at all.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.waiting
            .first_due()
            .filter(|_| self.may_begin() && self.has_tokens())
    }

    /// Takes a task that waited, and is due.
    pub(super) fn retry(&mut self, now: Instant) -> Option<Work> {
        let work = self.waiting.pop_due(now)?;
        let _ = self.purse.spend(1);
        Some(work)
    }

    /// Lets tasks wait for another attempt; at their job's deadline they are due in any case.
    pub(super) fn wait(&mut self, later: impl IntoIterator<Item = Later>) {
        for Later { due, work, .. } in later {
            let due = work.deadline.map_or(due, |deadline| due.min(deadline));
            self.waiting.push(due.into_std(), work);
        }
    }

    /// Its rate, when it has one.
    pub(super) fn rate(&self) -> Option<Limit> {
        self.rate
    }

    /// The store's answer to who asked it for tokens.
    pub(super) fn receive(&mut self, answer: Result<Tokens, StoreError>, now: Instant) {
        // From nothing to a full bucket.
        let refill = self.rate.map_or(Duration::ZERO, |limit| {
            let periods = f64::from(limit.burst().get()) / f64::from(limit.tasks().get());
            Duration::from_micros(limit.per_us().get()).mul_f64(periods)
        });
        self.purse.receive(answer, refill, now);
    }

    /// Reserves tokens for a claim of at most `want` tasks. Answers how many tasks can be claimed, and how many tokens
    /// that took.
    pub(super) fn reserve(&mut self, want: u64) -> (u64, u64) {
        if self.rate.is_none() {
            return (want, 0);
        }
        let spent = self.purse.spend(want);
        (spent, spent)
    }

    fn has_tokens(&self) -> bool {
        self.rate.is_none() || self.purse.tokens() > 0
    }
}

/// All queues that are served.
#[derive(Debug)]
pub(super) struct Lanes(BTreeMap<QueueName, Lane>);

impl Lanes {
    /// As the configuration names them, all paused.
    pub(super) fn new(config: &Config, metrics: &ExecutorMetrics) -> Self {
        let slots = config.executor.slots();
        let queues = &config.executor.queues;
        let lanes = queues.iter().map(|queue| {
            (
                queue.clone(),
                Lane::new(config.queue(queue), slots, metrics.of(queue)),
            )
        });
        Self(lanes.collect())
    }

    /// Takes over what the configuration says now. The queues stay.
    pub(super) fn configure(&mut self, config: &Config) {
        for (queue, lane) in &mut self.0 {
            lane.configure(config.queue(queue), config.executor.slots());
        }
    }

    /// Takes notice of who is there. Counted once for all claims that follow: there may be a thousand members.
    pub(super) fn meet(&mut self, roster: &Roster) {
        for (queue, lane) in &mut self.0 {
            lane.slots_of_all = roster.slots_for(queue);
        }
    }

    /// Takes over what is paused. Answers the queues that are paused from now on.
    pub(super) fn switch(&mut self, switchboard: &Switchboard) -> Vec<QueueName> {
        let mut paused = Vec::new();
        for (queue, lane) in &mut self.0 {
            let is_paused = switchboard.is_paused(queue);
            if is_paused && !lane.is_paused {
                paused.push(queue.clone());
            }
            lane.is_paused = is_paused;
        }
        paused
    }

    /// The lane of a queue, if it is served.
    pub(super) fn of(&self, queue: &QueueName) -> Option<&Lane> {
        self.0.get(queue)
    }

    /// The lane of a queue, if it is served.
    pub(super) fn of_mut(&mut self, queue: &QueueName) -> Option<&mut Lane> {
        self.0.get_mut(queue)
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&QueueName, &Lane)> {
        self.0.iter()
    }

    /// All of them.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&QueueName, &mut Lane)> {
        self.0.iter_mut()
    }

    /// The queue of the task that waits, is due, and comes first: of the queues that `may`, of the one with the highest
    /// priority, the one that is due for the longest time. `may` is asked only of queues with a task that is due.
    pub(super) fn due_retry(&self, now: Instant, may: impl Fn(&QueueName) -> bool) -> Option<&QueueName> {
        let due = |lane: &Lane| lane.retry_at().filter(|at| *at <= now);
        let lanes = self.0.iter();
        let lanes = lanes.filter_map(|(queue, lane)| Some((queue, lane.precedence.priority, due(lane)?)));
        let lanes = lanes.filter(|(queue, ..)| may(queue));
        let (queue, ..) = lanes.min_by_key(|(_, priority, due)| (Reverse(*priority), *due))?;
        Some(queue)
    }

    /// Ends the rest of those that have rested for long enough.
    pub(super) fn wake(&mut self, now: Instant) {
        for lane in self.0.values_mut() {
            lane.rests_until = lane.rests_until.filter(|until| *until > now);
        }
    }

    /// When there is something to begin or to ask for, later than `now`.
    pub(super) fn wakes_at(&self, now: Instant, has_free_slot: bool) -> Option<Instant> {
        // Also of those without a token: when one is due, it is asked for.
        let can_begin = self.0.values().filter(|lane| has_free_slot && lane.may_begin());
        let retries = can_begin.filter_map(|lane| lane.waiting.first_due());
        let askings = self.0.values().filter_map(|lane| lane.purse.asks_at());
        let rests = self.0.values().filter_map(|lane| lane.rests_until);
        retries.chain(askings).chain(rests).filter(|at| *at > now).min()
    }

    /// Takes out all tasks that wait of such jobs.
    pub(super) fn extract(&mut self, is_meant: impl Fn(&Work) -> bool) -> Vec<Work> {
        self.0
            .values_mut()
            .flat_map(|lane| lane.waiting.extract(&is_meant))
            .collect()
    }
}
