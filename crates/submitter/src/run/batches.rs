//! Single lines, collected into jobs.
//!
//! ```text
//!  add ── the queue's open batch ── full, or old enough ── surely submitted ── every receipt of it is answered
//! ```
//!
//! A batch is closed at `max_tasks`, at `max_bytes`, or `max_wait` after its first line, whichever comes first, and at once
//! when the service is asked to stop. Its id is fresh and stays the same in every attempt, so it becomes one job. Lines
//! that are not safe yet are in memory, bounded in bytes and in batches: who adds more waits.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use distjob_core::{JobId, NameError, QueueName};
use distjob_runtime::{chance, shutdown::Stop};
use futures::{FutureExt as _, future::Shared};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot},
    task::JoinSet,
    time::sleep,
};

use super::desk::{Desk, SubmitError};
use crate::lines::InputError;

/// Bytes of lines that are not safe yet, at most, with what it takes to keep them.
const BYTES_MAX: usize = 64 << 20;

/// What a line takes beside its bytes: its place in the batch, its receipt and who waits for it.
const LINE_COST: usize = 128;

/// Batches that are not safe yet, at most.
const BATCHES_MAX: usize = 1024;

/// When a batch is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Most lines.
    pub(crate) tasks: u64,
    /// Most bytes, unless a single line has more.
    pub(crate) bytes: u64,
    /// How long the first line waits.
    pub(crate) wait: Duration,
}

/// Where a line came to stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The job.
    pub(crate) job: JobId,
    /// The task's index in it.
    pub(crate) index: u64,
}

type Outcome = Shared<oneshot::Receiver<Result<(), Arc<SubmitError>>>>;

/// The promise of an answer: whether a line is safe.
#[derive(Debug)]
pub(crate) struct Receipt {
    place: Place,
    outcome: Outcome,
}

impl Receipt {
    /// Whether somebody knows already what [`Receipt::safe`] will answer.
    pub(crate) fn is_known(&self) -> bool {
        self.outcome.peek().is_some()
    }

    /// Waits until the line is part of a job that is safe.
    ///
    /// # Errors
    /// It is not known to be. Cancel safe; the line goes its way all the same.
    pub(crate) async fn safe(self) -> Result<Place, Arc<SubmitError>> {
        match self.outcome.await {
            Ok(outcome) => outcome.map(|()| self.place),
            // Its task ended with the service.
            Err(_) => Err(Arc::new(SubmitError::Ending)),
        }
    }
}

type OpenBatches = BTreeMap<QueueName, Arc<Batch>>;

/// The open batches of all queues.
#[derive(Debug)]
pub(crate) struct Batches {
    desk: Arc<Desk>,
    stop: Stop,
    open: Arc<Mutex<OpenBatches>>,
    room: Arc<Semaphore>,
    turns: Arc<Semaphore>,
    under_way: Mutex<JoinSet<()>>,
}

impl Batches {
    /// None yet. At the request of `stop` batches are closed without waiting.
    pub(crate) fn new(desk: Arc<Desk>, stop: Stop) -> Self {
        Self {
            desk,
            stop,
            open: Arc::default(),
            room: Arc::new(Semaphore::new(BYTES_MAX)),
            turns: Arc::new(Semaphore::new(BATCHES_MAX)),
            under_way: Mutex::default(),
        }
    }

    /// Adds a line to the open batch of its queue; waits while too many lines are not safe yet. Lines that are added one
    /// after another to the same queue stand in that order, in one job or in several.
    ///
    /// # Errors
    /// When the line is longer than a task may be. Cancel safe: dropped, it was not added.
    pub(crate) async fn add(
        &self,
        queue: &QueueName,
        task: Vec<u8>,
        limits: Limits,
    ) -> Result<Receipt, SubmitError> {
        let limit = self.desk.settings.max_task_bytes;
        if task.len() as u64 > limit {
            return Err(InputError::TooLong { line: 1, limit }.into());
        }
        let cost = u32::try_from(task.len() + LINE_COST)
            .unwrap_or(u32::MAX)
            .min(BYTES_MAX as u32);
        // Never closed, here and below.
        let Ok(room) = Arc::clone(&self.room).acquire_many_owned(cost).await else {
            return Err(SubmitError::Ending);
        };
        let mut line = Line { task, room };
        loop {
            line = match self.add_to_open(queue, line, limits) {
                Ok(receipt) => return Ok(receipt),
                Err(line) => line,
            };
            let Ok(turn) = Arc::clone(&self.turns).acquire_owned().await else {
                return Err(SubmitError::Ending);
            };
            self.open_batch(queue, limits, turn)?;
        }
    }

    /// The line back when the queue has no open batch that has room for it.
    fn add_to_open(&self, queue: &QueueName, line: Line, limits: Limits) -> Result<Receipt, Line> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match open.get(queue) {
            Some(batch) => batch.add(line, limits),
            None => Err(line),
        }
    }

    /// Opens a batch, unless somebody else has done so meanwhile.
    fn open_batch(
        &self,
        queue: &QueueName,
        limits: Limits,
        turn: OwnedSemaphorePermit,
    ) -> Result<(), SubmitError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.get(queue).is_some_and(|batch| batch.is_open()) {
            return Ok(());
        }
        let fresh = |error: NameError| SubmitError::Failed(error.into());
        let (answer, outcome) = oneshot::channel();
        let batch = Arc::new(Batch {
            id: JobId::new(chance::fresh_id()).map_err(fresh)?,
            outcome: outcome.shared(),
            filling: Mutex::default(),
            full: Notify::new(),
        });
        open.insert(queue.clone(), Arc::clone(&batch));
        let (desk, stop, queue) = (Arc::clone(&self.desk), self.stop.clone(), queue.clone());
        let all = Arc::clone(&self.open);
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        while under_way.try_join_next().is_some() {}
        under_way.spawn(async move {
            tokio::select! {
                biased;
                () = stop.requested() => {}
                () = batch.full.notified() => {}
                () = sleep(limits.wait) => {}
            }
            let (tasks, room) = batch.close();
            forget(&all, &queue, &batch);
            let submitted = match tasks.is_empty() {
                true => Ok(()),
                false => desk.surely_submit_tasks(&batch.id, &queue, &tasks).await,
            };
            // Nobody may be left who waits for it.
            let _ = answer.send(submitted.map_err(Arc::new));
            drop((room, turn));
        });
        Ok(())
    }

    /// Waits until every line that was added is safe, or given up at the end of the service.
    pub(crate) async fn finish(&self) {
        let mut under_way =
            std::mem::take(&mut *self.under_way.lock().unwrap_or_else(PoisonError::into_inner));
        while under_way.join_next().await.is_some() {}
    }
}

/// Lets a closed batch go, so that nothing is left of queues whose names nobody uses any more.
fn forget(all: &Mutex<OpenBatches>, queue: &QueueName, batch: &Arc<Batch>) {
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    if all.get(queue).is_some_and(|open| Arc::ptr_eq(open, batch)) {
        all.remove(queue);
    }
}

/// A line with the room that it takes.
#[derive(Debug)]
struct Line {
    task: Vec<u8>,
    room: OwnedSemaphorePermit,
}

/// A job that is being collected.
#[derive(Debug)]
struct Batch {
    id: JobId,
    outcome: Outcome,
    filling: Mutex<Filling>,
    full: Notify,
}

#[derive(Debug, Default)]
struct Filling {
    tasks: Vec<Vec<u8>>,
    bytes: u64,
    /// What all the lines take.
    room: Option<OwnedSemaphorePermit>,
    is_closed: bool,
}

impl Batch {
    fn filling(&self) -> std::sync::MutexGuard<'_, Filling> {
        self.filling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_open(&self) -> bool {
        !self.filling().is_closed
    }

    fn add(&self, line: Line, limits: Limits) -> Result<Receipt, Line> {
        let mut filling = self.filling();
        let bytes = filling.bytes.saturating_add(line.task.len() as u64);
        if filling.is_closed {
            return Err(line);
        }
        if bytes > limits.bytes && !filling.tasks.is_empty() {
            filling.is_closed = true;
            self.full.notify_one();
            return Err(line);
        }
        let index = filling.tasks.len() as u64;
        filling.bytes = bytes;
        filling.tasks.push(line.task);
        match &mut filling.room {
            Some(room) => room.merge(line.room),
            none => *none = Some(line.room),
        }
        if index + 1 >= limits.tasks || bytes >= limits.bytes {
            filling.is_closed = true;
            self.full.notify_one();
        }
        Ok(Receipt {
            place: Place {
                job: self.id.clone(),
                index,
            },
            outcome: self.outcome.clone(),
        })
    }

    fn close(&self) -> (Vec<Vec<u8>>, Option<OwnedSemaphorePermit>) {
        let mut filling = self.filling();
        filling.is_closed = true;
        (std::mem::take(&mut filling.tasks), filling.room.take())
    }
}
