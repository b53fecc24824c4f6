//! Giving back what has not begun, while the term goes on.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use distjob_core::{JobId, TaskRange, Zxid, store::ReleaseRequest};

use super::{Given, Queued, Server};
use crate::{grip::Grip, lease::Work};

/// How long a lease waits for a slot at most: two of them fit into it when all is as expected.
const QUEUED_MAX: Duration = Duration::from_secs(1);

impl Server<'_> {
    /// Takes such leases out of those that wait for a slot; their queues are not charged for them.
    pub(super) fn dequeue(&mut self, is_meant: impl Fn(&Queued) -> bool) -> Vec<Work> {
        let mut works = Vec::new();
        for queued in std::mem::take(&mut self.queue) {
            if !is_meant(&queued) {
                self.queue.push_back(queued);
                continue;
            }
            let Queued { work, charged, .. } = queued;
            let queue = &work.job.queue;
            self.board.correct(queue, charged, Duration::ZERO);
            if let Some(lane) = self.lanes.of_mut(queue) {
                lane.coming -= 1;
                lane.take_back(work.lease.range.len());
            }
            works.push(work);
        }
        works
    }

    /// Gives back tasks in hand that do not run. Nobody died of them.
    pub(super) fn give_back(&mut self, works: Vec<Work>) {
        let mut by_job: BTreeMap<(JobId, Zxid), (Grip, Vec<TaskRange>)> = BTreeMap::new();
        for Work { job, grip, lease, .. } in works {
            let job = by_job.entry((job.id.clone(), job.life));
            job.or_insert((grip, Vec::new())).1.push(lease.range);
        }
        for ((id, life), (grip, ranges)) in by_job {
            self.release(id, life, grip, ranges);
        }
    }

    /// Lets go of leases and releases them.
    pub(super) fn release(&mut self, id: JobId, life: Zxid, grip: Grip, ranges: Vec<TaskRange>) {
        ranges.iter().for_each(|range| grip.leave(*range));
        let store = self.executor.doorman.store.clone();
        let holder = self.term.holder().clone();
        self.giving.spawn(async move {
            let mut result = Ok(());
            for range in &ranges {
                let request = ReleaseRequest {
                    life,
                    holder: &holder,
                    range: *range,
                };
                // Whatever it answers, there is nothing more to give back.
                if let Err(error) = store.release(&id, &request).await {
                    result = Err(error);
                }
            }
            ranges.iter().for_each(|range| grip.left(*range));
            Given { id, life, result }
        });
    }

    /// Gives back the leases that were claimed ahead of a slot which did not become free: the task there takes longer than
    /// was to be expected, and another executor may be idle.
    pub(super) fn give_back_overdue(&mut self, now: Instant) {
        let works = self.dequeue(|queued| now >= queued.since + QUEUED_MAX);
        self.give_back(works);
    }

    /// When there is something to [give back](Self::give_back_overdue).
    pub(super) fn overdue_at(&self) -> Option<Instant> {
        self.queue.iter().map(|queued| queued.since + QUEUED_MAX).min()
    }

    /// Gives back everything in hand that does not run.
    pub(super) fn give_back_all(&mut self) {
        let mut works = self.dequeue(|_| true);
        works.extend(self.lanes.extract(|_| true));
        self.give_back(works);
    }
}
