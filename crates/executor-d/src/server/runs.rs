//! The leases that run right now.
//!
//! A lease has a slot while its tasks run. One that is small gives it away when its handler is done, and is recorded
//! without it: of many small jobs the recording takes longer than the tasks.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use distjob_core::QueueName;
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
};

use super::joined;
use crate::{
    handler::Job,
    lease::{Ended, Order, RunLimits, Runner, Work},
};

/// Most bytes in a lease that gives its slot away before it is recorded, of payload and of outcomes: both are in memory until
/// then.
pub(crate) const SMALL_BYTES: usize = 4096;

/// Most leases that are being recorded without a slot.
const RECORDING_MAX: usize = 64;

/// A lease that runs, or ran.
#[derive(Debug)]
pub(super) struct Running {
    job: Arc<Job>,
    orders: watch::Sender<Order>,
    /// What its queue was charged for it.
    pub(super) charged: Duration,
    /// When it began.
    pub(super) begun: Instant,
    /// Whether it has a slot, still.
    pub(super) has_slot: bool,
}

impl Running {
    /// Whether it is in a slot, and has begun since then.
    fn is_young(&self, then: Option<Instant>) -> bool {
        self.has_slot && then.is_none_or(|then| self.begun >= then)
    }
}

/// The slot of a small lease; whoever drops it gives it away.
#[derive(Debug)]
pub(crate) struct Slot {
    number: u64,
    given_away: Arc<GivenAway>,
}

/// The slots that were given away lately, by the numbers of their leases.
#[derive(Debug, Default)]
pub(crate) struct GivenAway {
    numbers: Mutex<Vec<u64>>,
    bell: Notify,
}

impl GivenAway {
    /// Waits until there is another one. Cancel safe.
    pub(crate) async fn changed(&self) {
        self.bell.notified().await;
    }

    /// The slot of this lease.
    pub(crate) fn slot(self: &Arc<Self>, number: u64) -> Slot {
        Slot {
            number,
            given_away: Arc::clone(self),
        }
    }

    fn numbers(&self) -> std::sync::MutexGuard<'_, Vec<u64>> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.given_away.numbers().push(self.number);
        self.given_away.bell.notify_one();
    }
}

/// All leases that run.
#[derive(Debug, Default)]
pub(super) struct Runs {
    set: JoinSet<(u64, Ended)>,
    running: BTreeMap<u64, Running>,
    begun: u64,
    /// How many of them have a slot.
    in_slots: usize,
    given_away: Arc<GivenAway>,
}

impl Runs {
    /// Whether there are none, with a slot or without.
    pub(super) fn are_none(&self) -> bool {
        self.running.is_empty()
    }

    /// How many slots they have.
    pub(super) fn in_slots(&self) -> usize {
        self.in_slots
    }

    /// Whether one of these slots, or one beside them, may be taken by another lease.
    pub(super) fn have_room(&self, slots: usize) -> bool {
        self.in_slots < slots && self.running.len() - self.in_slots < RECORDING_MAX
    }

    /// How many of those in slots have begun since then.
    pub(super) fn begun_since(&self, then: Option<Instant>) -> usize {
        let young = self.running.values().filter(|running| running.is_young(then));
        young.count()
    }

    /// Whether one of this queue that is in a slot has begun since then.
    pub(super) fn began_of(&self, queue: &QueueName, then: Option<Instant>) -> bool {
        let mut running = self.running.values();
        running.any(|running| running.is_young(then) && running.job.queue == *queue)
    }

    /// Runs a lease for which its queue was charged.
    pub(super) fn start(
        &mut self,
        runner: Runner,
        work: Work,
        limits: RunLimits,
        charged: Duration,
        now: Instant,
    ) {
        let (orders, obeys) = watch::channel(Order::Go);
        self.begun += 1;
        let number = self.begun;
        let running = Running {
            job: Arc::clone(&work.job),
            orders,
            charged,
            begun: now,
            has_slot: true,
        };
        self.running.insert(number, running);
        self.in_slots += 1;
        let slot = (work.bytes() <= SMALL_BYTES).then(|| self.given_away.slot(number));
        self.set
            .spawn(async move { (number, runner.run(work, limits, obeys, slot).await) });
    }

    /// The next one that ends; `None` while there is none. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<(Running, Ended)> {
        let (number, ended) = joined(self.set.join_next().await?);
        let running = self.running.remove(&number)?;
        self.in_slots -= usize::from(running.has_slot);
        Some((running, ended))
    }

    /// The slots that were given away.
    pub(super) fn given_away(&self) -> Arc<GivenAway> {
        Arc::clone(&self.given_away)
    }

    /// Takes back the slots that were given away. Answers the queue of each.
    pub(super) fn take_back_slots(&mut self) -> Vec<QueueName> {
        let numbers = std::mem::take(&mut *self.given_away.numbers());
        let mut queues = Vec::with_capacity(numbers.len());
        for number in numbers {
            // One that has ended by now has none.
            if let Some(running) = self.running.get_mut(&number)
                && std::mem::take(&mut running.has_slot)
            {
                self.in_slots -= 1;
                queues.push(running.job.queue.clone());
            }
        }
        queues
    }

    /// Gives this order to all that run tasks of such jobs.
    pub(super) fn order(&self, order: Order, is_meant: impl Fn(&Job) -> bool) {
        for running in self.running.values().filter(|running| is_meant(&running.job)) {
            running.orders.send_if_modified(|last| {
                let is_more = *last < order;
                *last = order.max(*last);
                is_more
            });
        }
    }

    /// Drops all of them.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
