//! Leaving: whatever was begun is recorded or given back.

use std::time::Duration;

use distjob_core::{JobId, Zxid, executor::Reason};
use distjob_runtime::{member::beating, store::Freeing};
use futures::{StreamExt as _, stream};
use tokio::time::{Instant, sleep, timeout};

use super::{Server, Visited, clock, joined};
use crate::{
    handler::Job,
    lease::{Ended, Order},
    visit::Found,
};

/// How long the farewell to ZooKeeper may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// Jobs whose ranges are given back at once.
const FREES_MAX: usize = 64;

/// Most time that giving back may take of the grace period, at its end.
const GIVE_BACK: Duration = Duration::from_secs(5);

impl Server<'_> {
    /// Lets running tasks come to their end and be recorded, gives back the rest, and leaves; within the grace period.
    pub(super) async fn drain(mut self) {
        let begun = Instant::now();
        let grace = self.config.executor.grace_period;
        let finish_by = grace.saturating_sub(GIVE_BACK.min(grace / 4));
        let heartbeat = self.executor.heartbeat.clone();
        let wound_up = timeout(finish_by, beating(&heartbeat, self.wind_up())).await;
        if wound_up.is_err() {
            tracing::warn!(
                leases = self.hands.ranges(),
                "the grace period is nearly over: giving back what still runs"
            );
        }
        // Whoever gets them next shall not meet our children.
        self.runs.clear();
        let left = grace.saturating_sub(begun.elapsed());
        if timeout(left, beating(&heartbeat, self.free_all())).await.is_err() {
            tracing::warn!(
                "not everything could be given back: others take it when they see that this member is gone"
            );
        }
        self.part().await;
    }

    /// Drops everything at once, and leaves.
    pub(super) async fn abandon(self) {
        self.part().await;
    }

    /// Gives back at once what has not begun, so that others have it, and waits for everything that was begun.
    async fn wind_up(&mut self) {
        self.runs.order(Order::Halt, |_| true);
        self.give_back_all();
        while !self.is_idle() {
            tokio::select! {
                biased;
                Some((_, ended)) = self.runs.next() => self.after_last_run(ended),
                Some(visited) = self.visits.join_next() => self.after_last_visit(joined(visited)),
                Some(_) = self.finishing.join_next() => {}
                Some(given) = self.giving.join_next() => {
                    let given = joined(given);
                    self.hands.tidy(&given.id);
                    if given.result.is_err() {
                        self.hands.doubt(&given.id, given.life);
                    }
                }
                changes = self.term.jobs.changes() => self.see(changes, clock()),
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.runs.are_none() && self.visits.is_empty() && self.finishing.is_empty() && self.giving.is_empty()
    }

    fn after_last_run(&mut self, ended: Ended) {
        let Job { id, life, .. } = &*ended.job;
        self.give_back(ended.later.into_iter().map(|later| later.work).collect());
        self.hands.tidy(id);
        if !ended.is_over {
            self.hands.doubt(id, *life);
        }
        if ended.job_is_complete {
            self.finish(id, Reason::Complete);
        }
    }

    /// Whatever it brought is given back with the rest.
    fn after_last_visit(&mut self, visited: Visited) {
        let Visited { id, life, found, .. } = visited;
        match found {
            Ok(Found::Lease { grant, .. }) => {
                let range = grant.lease.range;
                match self.hands.take(&id, life, range) {
                    Some(grip) => self.release(id.clone(), life, grip, vec![range]),
                    None => self.hands.doubt(&id, life),
                }
            }
            Ok(_) => {}
            Err(_) => self.hands.doubt(&id, life),
        }
        self.hands.end_visit(&id, life);
    }

    /// Gives back all ranges of this holder, wherever there may be some.
    async fn free_all(&self) {
        let jobs = self.hands.jobs();
        stream::iter(jobs)
            .for_each_concurrent(FREES_MAX, |(id, life)| self.free(id, life))
            .await;
    }

    async fn free(&self, id: JobId, life: Zxid) {
        loop {
            match self
                .executor
                .doorman
                .store
                .free(&id, life, self.term.holder(), Freeing::Leaving)
                .await
            {
                Ok(ranges) => {
                    tracing::debug!(job.id = %id, ranges, "gave back what was not begun");
                    return;
                }
                Err(error) => {
                    tracing::warn!(job.id = %id, %error, "failed to give back ranges, trying again");
                }
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    async fn part(self) {
        let Self {
            term,
            visits,
            runs,
            finishing,
            giving,
            asking,
            ..
        } = self;
        // They hold clones of the session, which ends with the last of them.
        drop((visits, runs, finishing, giving, asking));
        term.leave().await.wait(FAREWELL).await;
    }
}
