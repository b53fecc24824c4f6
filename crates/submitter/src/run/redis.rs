//! Tasks that others put into a list or a stream of the same Redis.
//!
//! ```text
//!  list or stream ── take: one atomic step ──► a batch on the shelf ── submit ──► a job ── forget the batch
//! ```
//!
//! Nothing is ever only in this process, so nothing is lost with it: a batch that somebody left on the shelf is submitted by
//! whoever finds it, under its own id, which makes it one job. A take whose reply was lost is not repeated under that id:
//! should it still happen, it makes a batch that nobody has submitted yet.

mod shelf;

use std::{collections::BTreeSet, time::Duration};

use distjob_core::{JobId, QueueName};
use distjob_runtime::{
    chance, drill,
    store::{StoreError, StoreSettings},
};
use tokio::time::{Instant, sleep};
use tracing::{debug, error, info, warn};

use self::shelf::{Most, Place, Shelf};
use super::{Hall, answers::Answers, desk::SubmitError};
use crate::config::Config;

/// Between two looks for batches that somebody else left: one that was there both times is not in hand, or for long.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// The shortest time in which tasks are collected: each look costs the store a call.
const WAIT_MIN: Duration = Duration::from_millis(20);

/// Pauses after failures.
const PAUSE_INITIAL: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Takes from the places that `[run.redis]` names.
#[derive(Debug)]
pub(crate) struct RedisIntake {
    hall: Hall,
    store: StoreSettings,
    places: Vec<Place>,
    queue: QueueName,
    answers: Answers,
}

impl RedisIntake {
    /// Connects to nothing yet. `None` when no place is named.
    ///
    /// # Errors
    /// When the settings make no sense, which checking the configuration has said before.
    pub(crate) fn new(hall: &Hall, settings: &Config, answers: Answers) -> anyhow::Result<Option<Self>> {
        let config = &settings.run.redis;
        let named = |key: &String| Some(key.clone()).filter(|key| !key.is_empty());
        let list = named(&config.list).map(Place::List);
        let stream = named(&config.stream).map(Place::Stream);
        let places: Vec<_> = list.into_iter().chain(stream).collect();
        if places.is_empty() {
            return Ok(None);
        }
        let queue = match config.queue.as_str() {
            "" => settings.submitter.queue.clone(),
            queue => QueueName::new(queue)?,
        };
        Ok(Some(Self {
            hall: hall.clone(),
            store: StoreSettings::try_from(&settings.redis)?,
            places,
            queue,
            answers,
        }))
    }

    /// Takes until the service is asked to stop, and returns when what was taken is a job, or is left on the shelf for the
    /// next start.
    pub(crate) async fn serve(self) -> anyhow::Result<()> {
        let stop = self.hall.stop.clone();
        let mut pause = PAUSE_INITIAL;
        let mut told = String::new();
        for place in &self.places {
            info!(key = place.key(), queue = %self.queue, "taking tasks from redis");
        }
        while !stop.is_requested() {
            let began = Instant::now();
            let Err(failure) = self.attend().await else { break };
            // It went well for a while.
            if began.elapsed() > PAUSE_MAX {
                (pause, told) = (PAUSE_INITIAL, String::new());
            }
            let why = failure.to_string();
            if why == told {
                debug!("failed to {why}");
            } else {
                warn!("failed to {why}; tasks stay in redis meanwhile, trying again");
                told = why;
            }
            stop.unless_requested(sleep(chance::upper_half(pause))).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        Ok(())
    }

    /// Takes with one connection, until the request to stop, or a failure.
    async fn attend(&self) -> Result<(), StoreError> {
        let stop = &self.hall.stop;
        let Some(shelf) = stop.unless_requested(Shelf::connect(&self.store)).await else {
            return Ok(());
        };
        let shelf = shelf?;
        for place in &self.places {
            shelf.prepare(place).await?;
        }
        // At first whatever is there: nothing of it is in this one's hands.
        let mut seen: BTreeSet<JobId> = shelf.left().await?.into_iter().map(|(id, _)| id).collect();
        let mut looked: Option<Instant> = None;
        while !stop.is_requested() {
            if looked.is_none_or(|looked| looked.elapsed() >= LOOK_EVERY) {
                seen = self.adopt(&shelf, &seen).await?;
                looked = Some(Instant::now());
            }
            // In turn: a place that is filled as fast as it is emptied keeps nothing from what stands elsewhere.
            let mut is_more = false;
            for place in &self.places {
                is_more |= self.take(&shelf, place).await?;
            }
            if is_more {
                continue;
            }
            let wait = self.hall.settings.borrow().of_queue(&self.queue).max_wait;
            stop.unless_requested(sleep(wait.max(WAIT_MIN))).await;
        }
        Ok(())
    }

    /// Submits the batches that were `seen` before and are there still. Which are left.
    async fn adopt(&self, shelf: &Shelf, seen: &BTreeSet<JobId>) -> Result<BTreeSet<JobId>, StoreError> {
        let mut left = BTreeSet::new();
        for (id, queue) in shelf.left().await? {
            if self.hall.stop.is_requested() {
                break;
            }
            if seen.contains(&id) {
                info!(job.id = %id, %queue, "submitting a batch that was left behind");
                self.submit(shelf, &id, &queue).await?;
            } else {
                left.insert(id);
            }
        }
        Ok(left)
    }

    /// Takes what makes one job, and submits it. Whether there is more in that place.
    async fn take(&self, shelf: &Shelf, place: &Place) -> Result<bool, StoreError> {
        let (stop, gate) = (&self.hall.stop, &self.hall.desk.gate);
        if stop.unless_requested(gate.admit()).await.is_none() {
            return Ok(false);
        }
        let Ok(id) = JobId::new(chance::fresh_id()) else {
            return Ok(false);
        };
        let taken = shelf.take(place, &id, &self.queue, self.most()).await?;
        if taken.refused > 0 {
            self.answers.of("redis", "refused").inc_by(taken.refused);
            warn!(
                key = place.key(),
                refused = taken.refused,
                "what is no task, or longer than a task may be, was put aside"
            );
        }
        if taken.tasks > 0 {
            drill::point("taken");
            self.submit(shelf, &id, &self.queue).await?;
        }
        Ok(taken.is_more)
    }

    fn most(&self) -> Most {
        let settings = self.hall.settings.borrow();
        let queue = settings.of_queue(&self.queue);
        Most {
            tasks: queue.max_tasks,
            bytes: queue.max_bytes,
            task_bytes: self.hall.desk.settings.max_task_bytes,
        }
    }

    /// Makes a batch a job, and forgets it. Stays for the next start when the service ends before.
    async fn submit(&self, shelf: &Shelf, id: &JobId, queue: &QueueName) -> Result<(), StoreError> {
        let tasks = shelf.tasks(id).await?;
        if !tasks.is_empty() {
            match self.hall.desk.surely_submit_tasks(id, queue, &tasks).await {
                Ok(()) => drill::point("batch-submitted"),
                Err(SubmitError::Ending) => return Ok(()),
                Err(failure) => {
                    error!(job.id = %id, "failed to submit a batch, which stays in redis: {failure}");
                    return Ok(());
                }
            }
        }
        shelf.forget(id).await
    }
}
