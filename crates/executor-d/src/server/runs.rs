//! The leases that run right now.
//!
//! A lease has a slot while its tasks run. One that is small gives it away when its handler is done, and is recorded
//! without it: of many small jobs the recording takes longer than the tasks.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use distjob_core::QueueName;
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
};

use super::{clock, joined};
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
    /// Since when it has none, when it has given its slot away.
    left_slot: Option<Instant>,
    /// Whether its slot counts as taken, still.
    pub(super) has_slot: bool,
}

impl Running {
    /// For how long it kept a slot from others: what is recorded without one costs its queue nothing.
    pub(super) fn in_slot(&self, now: Instant) -> Duration {
        self.left_slot
            .unwrap_or(now)
            .saturating_duration_since(self.begun)
    }

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

/// The slots that were given away lately, by the numbers of their leases, and when.
#[derive(Debug, Default)]
pub(crate) struct GivenAway {
    slots: Mutex<Vec<(u64, Instant)>>,
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

    fn slots(&self) -> MutexGuard<'_, Vec<(u64, Instant)>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the slot of this lease was given away, unless that was taken notice of before.
    fn since(&self, number: u64) -> Option<Instant> {
        let slots = self.slots();
        slots
            .iter()
            .find(|(given, _)| *given == number)
            .map(|(_, since)| *since)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.given_away.slots().push((self.number, clock()));
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
            left_slot: None,
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
        let mut running = self.running.remove(&number)?;
        running.left_slot = running.left_slot.or_else(|| self.given_away.since(number));
        self.in_slots -= usize::from(running.has_slot);
        Some((running, ended))
    }

    /// The slots that were given away.
    pub(super) fn given_away(&self) -> Arc<GivenAway> {
        Arc::clone(&self.given_away)
    }

    /// Takes back the slots that were given away. Answers the queue of each.
    pub(super) fn take_back_slots(&mut self) -> Vec<QueueName> {
        let slots = std::mem::take(&mut *self.given_away.slots());
        let mut queues = Vec::with_capacity(slots.len());
        for (number, since) in slots {
            // One that has ended by now has none.
            if let Some(running) = self.running.get_mut(&number)
                && std::mem::take(&mut running.has_slot)
            {
                running.left_slot = Some(since);
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

#[cfg(test)]
mod tests {
    use distjob_core::{JobId, Zxid};
    use tokio::time::advance;

    use super::*;

    const TASK: Duration = Duration::from_millis(3);

    fn running() -> Running {
        let job = Job {
            id: JobId::new("a").unwrap(),
            life: Zxid::new(1),
            queue: QueueName::default_queue(),
        };
        Running {
            job: Arc::new(job),
            orders: watch::channel(Order::Go).0,
            charged: Duration::ZERO,
            begun: clock(),
            left_slot: None,
            has_slot: true,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_pays_for_slots_and_not_for_what_is_recorded_without_one() {
        let mut runs = Runs::default();
        runs.running.insert(1, running());
        runs.in_slots = 1;
        let slot = runs.given_away.slot(1);
        advance(TASK).await;
        drop(slot);
        advance(Duration::from_secs(1)).await;
        assert_eq!(
            runs.given_away
                .since(1)
                .map(|since| since - runs.running[&1].begun),
            Some(TASK)
        );
        assert_eq!(runs.take_back_slots().len(), 1);
        assert_eq!(runs.running[&1].in_slot(clock()), TASK);
        // One that keeps its slot pays until its end.
        let kept = running();
        advance(Duration::from_secs(1)).await;
        assert_eq!(kept.in_slot(clock()), Duration::from_secs(1));
    }
}
