//! Leaving: whatever was begun is recorded or given back.

use std::time::Duration;

use distjob_core::{JobId, Zxid};
use distjob_runtime::{member::beating, store::Freeing};
use futures::{StreamExt as _, stream};
use tokio::time::{Instant, sleep, timeout};

use super::{Server, joined};
use crate::handler::Job;

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
        let grace = self.config.grace_period;
        let finish_by = grace.saturating_sub(GIVE_BACK.min(grace / 4));
        let heartbeat = self.executor.heartbeat.clone();
        let wound_up = timeout(finish_by, beating(&heartbeat, self.wind_up())).await;
        if wound_up.is_err() {
            tracing::warn!(
                leases = self.hands.ranges(),
                "the grace period is nearly over: giving back what still runs"
            );
        }
        let left = grace.saturating_sub(begun.elapsed());
        if timeout(left, beating(&heartbeat, self.give_back()))
            .await
            .is_err()
        {
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

    /// Waits for everything that was begun. The leases that wait for a slot never begin.
    async fn wind_up(&mut self) {
        self.queue.clear();
        loop {
            tokio::select! {
                biased;
                Some(ended) = self.running.join_next() => {
                    let ended = joined(ended);
                    let Job { id, life, .. } = &*ended.job;
                    if ended.is_over && ended.later.is_empty() {
                        self.hands.tidy(id);
                    } else {
                        self.hands.doubt(id, *life);
                    }
                    if ended.job_is_complete {
                        self.finish(id, "every task has its outcome");
                    }
                }
                Some(visited) = self.visits.join_next() => {
                    let visited = joined(visited);
                    // Whatever it brought is given back with the rest.
                    self.hands.doubt(&visited.id, visited.life);
                }
                Some(_) = self.finishing.join_next() => {}
                else => return,
            }
        }
    }

    /// Gives back all ranges of this holder, wherever there may be some.
    async fn give_back(&self) {
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
            running,
            finishing,
            asking,
            ..
        } = self;
        // They hold clones of the session, which ends with the last of them.
        drop((visits, running, finishing, asking));
        term.leave().await.wait(FAREWELL).await;
    }
}
