//! Where every intake hands in: tasks become jobs here.

use std::{sync::Arc, time::Duration};

use distjob_core::{JobId, QueueName, submission::numbered};
use distjob_runtime::{chance, reach::Reach, shutdown::Stop};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::sleep,
};
use tracing::{debug, warn};

use super::{gate::Gate, metrics::RunMetrics};
use crate::{
    config::SubmitterConfig,
    lines::InputError,
    pieces::runs,
    staging::{Staging, Submitted},
};

/// Jobs that are staged or committed at once.
const AT_ONCE: usize = 32;

/// The first pause after an attempt that failed.
const PAUSE_INITIAL: Duration = Duration::from_millis(200);

/// The longest.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Why something was not submitted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SubmitError {
    /// It is no input: nothing that is done again would help.
    #[error(transparent)]
    Input(#[from] InputError),
    /// It would be more jobs than one input may make.
    #[error(
        "this makes more than {most} jobs, the most for one input: hand it in in parts, or let the queue's max_tasks and \
         max_bytes be larger"
    )]
    TooMany {
        /// The most jobs.
        most: usize,
    },
    /// Its id was used for something else.
    #[error("the id {id} was used before for another job: {difference}")]
    Taken {
        /// The id.
        id: JobId,
        /// In what that job differs.
        difference: String,
    },
    /// The service ends, and the time that it had for that is over. Whether it is a job nobody knows; the same id makes
    /// it one job, however often it is submitted.
    #[error("the service is ending")]
    Ending,
    /// A store did not do its part. It may be a job nevertheless; the same id makes it one job.
    #[error("{0:#}")]
    Failed(anyhow::Error),
}

/// What became of an input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Handed {
    /// Its jobs in their order, each of them safe.
    pub(crate) jobs: Vec<JobId>,
    /// How many tasks they have together.
    pub(crate) tasks: u64,
    /// How many of the jobs were there before.
    pub(crate) before: usize,
}

/// Makes jobs, for as long as the service lives.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) reach: Arc<Reach>,
    pub(crate) gate: Gate,
    pub(crate) metrics: RunMetrics,
    pub(crate) settings: SubmitterConfig,
    /// Requested when the time for ending is over.
    pub(crate) end: Stop,
    at_once: Semaphore,
}

impl Desk {
    pub(crate) fn new(
        reach: Arc<Reach>,
        gate: Gate,
        metrics: RunMetrics,
        settings: SubmitterConfig,
        end: Stop,
    ) -> Self {
        Self {
            reach,
            gate,
            metrics,
            settings,
            end,
            at_once: Semaphore::new(AT_ONCE),
        }
    }

    /// Makes one job of tasks that are in memory, under an id of its own. One attempt: with a store
    /// away it fails after `[submitter] timeout`.
    ///
    /// # Errors
    /// It is not known to be safe. To be repeated under the same id.
    pub(crate) async fn submit_tasks(
        &self,
        id: &JobId,
        queue: &QueueName,
        tasks: &[Vec<u8>],
    ) -> Result<(), SubmitError> {
        // Never closed.
        let _turn = self.at_once.acquire().await;
        self.unless_ending(async {
            let mut staging = self.begin(id.clone(), queue)?;
            let most = (self.settings.push_max_tasks, self.settings.push_max_bytes);
            for run in runs(tasks, most.0, most.1) {
                if let Err(error) = staging.push(run).await {
                    staging.abandon().await;
                    return Err(SubmitError::Failed(error));
                }
            }
            self.commit(staging).await.map(|_| ())
        })
        .await
    }

    /// [`Desk::submit_tasks`] again and again until it is safe, whatever the stores do meanwhile.
    ///
    /// # Errors
    /// Only such that no further attempt would change, and the end of the service.
    pub(crate) async fn surely_submit_tasks(
        &self,
        id: &JobId,
        queue: &QueueName,
        tasks: &[Vec<u8>],
    ) -> Result<(), SubmitError> {
        self.surely(id, || self.submit_tasks(id, queue, tasks)).await
    }

    /// Makes an `attempt` again and again, with growing pauses, until it succeeds or fails for good. `id` is for the log.
    ///
    /// # Errors
    /// All but [`SubmitError::Failed`].
    pub(crate) async fn surely<T, F>(
        &self,
        id: &JobId,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, SubmitError>
    where
        F: Future<Output = Result<T, SubmitError>>,
    {
        let mut pause = PAUSE_INITIAL;
        let mut attempts: u64 = 0;
        loop {
            attempts += 1;
            match attempt().await {
                Err(SubmitError::Failed(error)) => {
                    self.metrics.failures.inc();
                    if attempts == 1 {
                        warn!(job.id = %id, error = format!("{error:#}"), "failed to submit, trying again until it is safe");
                    } else {
                        debug!(job.id = %id, attempts, error = format!("{error:#}"), "failed to submit again");
                    }
                }
                outcome => {
                    if attempts > 1 && outcome.is_ok() {
                        warn!(job.id = %id, attempts, "submitted at last");
                    }
                    return outcome;
                }
            }
            let rest = sleep(chance::upper_half(pause));
            if self.end.unless_requested(rest).await.is_none() {
                return Err(SubmitError::Ending);
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Nothing yet, for a job of that id.
    pub(crate) fn begin(&self, id: JobId, queue: &QueueName) -> Result<Staging, SubmitError> {
        let reach = Arc::clone(&self.reach);
        Staging::begin(reach, id, queue.clone(), self.settings.staging_ttl).map_err(SubmitError::Failed)
    }

    /// Waits until one job more may be staged or committed, for as long as this is held. Cancel safe.
    pub(crate) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // Never closed.
        self.at_once.acquire().await.ok()
    }

    /// Makes a job of what is staged. Whether it was submitted before. Not to be dropped.
    ///
    /// # Errors
    /// It is not known to be safe.
    pub(crate) async fn commit(&self, staging: Staging) -> Result<bool, SubmitError> {
        let (id, tasks) = (staging.id().clone(), staging.count());
        match staging.commit(&self.end).await.map_err(SubmitError::Failed)? {
            Submitted::Created => {
                debug!(job.id = %id, tasks, "submitted");
                self.metrics.jobs.inc();
                self.metrics.tasks.inc_by(tasks);
                Ok(false)
            }
            Submitted::Before(None) => {
                debug!(job.id = %id, "was submitted before");
                Ok(true)
            }
            Submitted::Before(Some(difference)) => Err(SubmitError::Taken { id, difference }),
        }
    }

    /// The outcome of `work`, unless the time for ending is over first.
    pub(super) async fn unless_ending<T>(
        &self,
        work: impl Future<Output = Result<T, SubmitError>>,
    ) -> Result<T, SubmitError> {
        self.end
            .unless_requested(work)
            .await
            .unwrap_or(Err(SubmitError::Ending))
    }
}

/// The id of the job behind `earlier` ones of the same stem.
///
/// # Errors
/// When the stem is too long for a number.
pub(crate) fn part_id(stem: &JobId, earlier: usize) -> Result<JobId, SubmitError> {
    match earlier {
        0 => Ok(stem.clone()),
        _ => numbered(stem, earlier as u64 + 1).map_err(|error| SubmitError::Failed(error.into())),
    }
}
