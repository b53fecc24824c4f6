//! An input that becomes jobs whole or not at all: nothing of it is a job before its last byte was found right.

use std::sync::Arc;

use distjob_core::{JobId, QueueName};

use super::{
    config::QueueConfig,
    desk::{Desk, Handed, SubmitError},
};
use crate::staging::Staging;

/// Bytes of tasks that are kept here before they are staged, unless a single task has more.
const RUN_BYTES_MAX: u64 = 64 << 10;

/// Jobs that one input may make, at most: each is kept in mind until the last of them is staged.
const PARTS_MAX: usize = 10_000;

/// Whether the ids of an input's jobs may be in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ids {
    /// Nobody has used them.
    Fresh,
    /// The input may have been handed in before.
    Fixed,
}

/// Tasks that are being staged: as one job, or as several of them when they are too many for one.
///
/// What was staged expires by itself when this is dropped; better call [`Whole::abandon`].
#[derive(Debug)]
pub(crate) struct Whole {
    desk: Arc<Desk>,
    stem: JobId,
    ids: Ids,
    queue: QueueName,
    limits: QueueConfig,
    /// The jobs, the last of which is not full yet.
    parts: Vec<Part>,
    /// Tasks of the last job that are not staged yet.
    run: Vec<Vec<u8>>,
    run_bytes: u64,
}

#[derive(Debug)]
struct Part {
    staging: Staging,
    tasks: u64,
    bytes: u64,
}

impl Whole {
    /// Nothing yet. The first job's id is `stem`.
    pub(crate) fn new(desk: Arc<Desk>, stem: JobId, ids: Ids, queue: QueueName, limits: QueueConfig) -> Self {
        Self {
            desk,
            stem,
            ids,
            queue,
            limits,
            parts: Vec::new(),
            run: Vec::new(),
            run_bytes: 0,
        }
    }

    /// Adds a task behind those before it.
    ///
    /// # Errors
    /// A store did not take what was added so far, or there are too many for as many jobs as one input may make. Only [`Whole::abandon`] may follow then, and when it is dropped before
    /// it ends.
    pub(crate) async fn add(&mut self, task: Vec<u8>) -> Result<(), SubmitError> {
        let bytes = task.len() as u64;
        let has_room = self.parts.last().is_some_and(|part| {
            part.tasks < self.limits.max_tasks && part.bytes.saturating_add(bytes) <= self.limits.max_bytes
        });
        let is_full_run = self.run_bytes.saturating_add(bytes) > RUN_BYTES_MAX
            || self.run.len() as u64 >= self.desk.settings.push_max_tasks;
        if !has_room || is_full_run {
            self.flush().await?;
        }
        if !has_room {
            self.begin_part().await?;
        }
        if let Some(part) = self.parts.last_mut() {
            part.tasks += 1;
            part.bytes += bytes;
        }
        self.run_bytes += bytes;
        self.run.push(task);
        Ok(())
    }

    async fn begin_part(&mut self) -> Result<(), SubmitError> {
        if self.parts.len() >= PARTS_MAX {
            return Err(SubmitError::TooMany { most: PARTS_MAX });
        }
        let id = super::desk::part_id(&self.stem, self.parts.len())?;
        let mut staging = self.desk.begin(id, &self.queue)?;
        if self.ids == Ids::Fixed {
            staging.look_first().await.map_err(SubmitError::Failed)?;
        }
        self.parts.push(Part {
            staging,
            tasks: 0,
            bytes: 0,
        });
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), SubmitError> {
        let run = std::mem::take(&mut self.run);
        self.run_bytes = 0;
        match self.parts.last_mut() {
            Some(part) if !run.is_empty() => {
                let _turn = self.desk.turn().await;
                part.staging.push(&run).await.map_err(SubmitError::Failed)
            }
            _ => Ok(()),
        }
    }

    /// Makes jobs of all that was added, one after the other. None without tasks. Not to be dropped.
    ///
    /// # Errors
    /// Not all of it is known to be safe; with what is.
    pub(crate) async fn commit(mut self) -> Result<Handed, (Handed, SubmitError)> {
        let mut handed = Handed::default();
        if let Err(error) = self.flush().await {
            self.abandon().await;
            return Err((handed, error));
        }
        let mut failure = None;
        for part in self.parts {
            if failure.is_some() {
                part.staging.abandon().await;
                continue;
            }
            let (id, tasks) = (part.staging.id().clone(), part.tasks);
            let turn = self.desk.turn().await;
            match self.desk.commit(part.staging).await {
                Ok(was_there) => {
                    handed.jobs.push(id);
                    handed.tasks += tasks;
                    handed.before += usize::from(was_there);
                }
                Err(error) => failure = Some(error),
            }
            drop(turn);
        }
        match failure {
            None => Ok(handed),
            Some(error) => Err((handed, error)),
        }
    }

    /// Gives all of it up.
    pub(crate) async fn abandon(self) {
        for part in self.parts {
            part.staging.abandon().await;
        }
    }
}
