//! What begins in a free slot: a task that is due for another attempt, or a lease.

use std::{
    cmp::Reverse,
    time::{Duration, Instant},
};

use distjob_core::{QueueName, retry::Policy};

use super::{Queued, Server};
use crate::{
    handler::CommitLimits,
    lease::{RunLimits, Runner},
};

impl Server<'_> {
    /// Fills free slots with tasks that are due for another attempt, as far as it is the turn of their queues, then with
    /// leases. `may_claim`: whether anything can be claimed at the moment.
    pub(super) fn fill_slots(&mut self, now: Instant, may_claim: bool) {
        while self.runs.have_room(self.config.executor.slots()) {
            let next = self.next_retry(now, may_claim).or_else(|| self.next_queued());
            let Some(Queued { work, charged, .. }) = next else {
                return;
            };
            let queue = &work.job.queue;
            let Some(handler) = self.executor.handlers.of(queue).cloned() else {
                unreachable!("there is a handler for each queue that is served");
            };
            if let Some(lane) = self.lanes.of_mut(queue) {
                lane.running += 1;
            }
            let limits = self.run_limits(queue);
            let runner = Runner {
                store: self.executor.doorman.store.clone(),
                holder: self.term.holder().clone(),
                handler,
                metrics: self.executor.metrics.clone(),
            };
            self.runs.start(runner, work, limits, charged, now);
        }
    }

    /// The first task that is due for another attempt, of the queues whose turn it is.
    fn next_retry(&mut self, now: Instant, may_claim: bool) -> Option<Queued> {
        let is_its_turn = |queue: &QueueName| !self.has_rival(queue, may_claim);
        let queue = self.lanes.due_retry(now, is_its_turn)?.clone();
        let work = self.lanes.of_mut(&queue)?.retry(now)?;
        Some(Queued {
            work,
            charged: Duration::ZERO,
            since: now,
        })
    }

    /// Whether a queue whose turn is sooner has other work for a free slot: a lease that waits for one, or a job to claim
    /// of. Where retries always went first, a queue whose tasks fail would keep all slots from the others.
    fn has_rival(&self, queue: &QueueName, may_claim: bool) -> bool {
        let queued = self.queue.iter().filter(|queued| self.priority(queued).is_some());
        let queued = queued.map(|queued| &queued.work.job.queue);
        // A suspect is run alone: nothing is claimed meanwhile.
        let may_claim = may_claim && !self.alone && self.isolated.is_empty();
        let lanes = self.lanes.iter();
        let open = lanes
            .filter(|(queue, lane)| may_claim && lane.may_claim(0) && self.board.has_ripe(queue))
            .map(|(queue, _)| queue);
        queued
            .chain(open)
            .any(|rival| self.board.goes_before(rival, queue))
    }

    /// The first lease of those that may begin, of the queue with the highest priority.
    fn next_queued(&mut self) -> Option<Queued> {
        let candidates = self.queue.iter().enumerate();
        let candidates = candidates.filter_map(|(position, queued)| Some((self.priority(queued)?, position)));
        let (_, position) = candidates.max_by_key(|(priority, position)| (*priority, Reverse(*position)))?;
        let queued = self.queue.remove(position)?;
        if let Some(lane) = self.lanes.of_mut(&queued.work.job.queue) {
            lane.coming -= 1;
        }
        Some(queued)
    }

    /// The priority of a lease that may begin.
    fn priority(&self, queued: &Queued) -> Option<i32> {
        let lane = self.lanes.of(&queued.work.job.queue)?;
        lane.may_begin().then_some(lane.precedence.priority)
    }

    fn run_limits(&self, queue: &QueueName) -> RunLimits {
        let executor = &self.config.executor;
        let queue = self.config.queue(queue);
        RunLimits {
            commit: CommitLimits {
                bytes: usize::try_from(executor.commit_max_bytes).unwrap_or(usize::MAX),
                time: executor.commit_every,
            },
            policy: Policy {
                attempts: queue.attempts,
                initial: queue.retry_initial,
                max: queue.retry_max,
            },
            poison_after: executor.poison_after,
            abort_after: queue.abort_after,
            target: executor.claim_target,
        }
    }
}
