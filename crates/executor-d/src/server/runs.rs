//! The leases that run right now.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::watch, task::JoinSet};

use super::joined;
use crate::{
    handler::Job,
    lease::{Ended, Order, RunLimits, Runner, Work},
};

/// A lease that runs, or ran.
#[derive(Debug)]
pub(super) struct Running {
    job: Arc<Job>,
    orders: watch::Sender<Order>,
    /// What its queue was charged for it.
    pub(super) charged: Duration,
    /// When it began.
    pub(super) begun: Instant,
}

/// All leases that run.
#[derive(Debug, Default)]
pub(super) struct Runs {
    set: JoinSet<(u64, Ended)>,
    running: BTreeMap<u64, Running>,
    begun: u64,
}

impl Runs {
    /// How many there are: one a slot.
    pub(super) fn len(&self) -> usize {
        self.running.len()
    }

    /// How many of them have begun since then.
    pub(super) fn begun_since(&self, then: Option<Instant>) -> usize {
        let is_young = |running: &&Running| then.is_none_or(|then| running.begun >= then);
        self.running.values().filter(is_young).count()
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
        };
        self.running.insert(number, running);
        self.set
            .spawn(async move { (number, runner.run(work, limits, obeys).await) });
    }

    /// The next one that ends; `None` while there is none. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<(Running, Ended)> {
        let (number, ended) = joined(self.set.join_next().await?);
        Some((self.running.remove(&number)?, ended))
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
