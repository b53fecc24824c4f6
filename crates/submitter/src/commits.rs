//! Jobs that are being committed, several at a time, and what is told of them.

use std::{
    collections::VecDeque,
    io::{Write as _, stdout},
};

use anyhow::anyhow;
use distjob_core::JobId;
use distjob_runtime::{drill, exit::Status, shutdown::Stop};
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::{
    progress::Progress,
    staging::{Staging, Submitted, interrupted},
};

/// Jobs that are committed at once. Nearly all of the time of each goes into waiting for replies, and what many ask for
/// together costs the stores less than what they ask for one after the other.
const AT_ONCE: usize = 128;

/// Bytes of tasks that are still to be pushed, about.
const BYTES_MAX: usize = 1 << 20;

/// The jobs whose tasks are all staged, oldest first.
///
/// Each is a task of its own: once begun it comes to its end, whatever becomes of the others, for a job that was created
/// must be made safe or taken back.
#[derive(Debug)]
pub(crate) struct Commits {
    under_way: VecDeque<UnderWay>,
    /// Bytes of tasks in these.
    bytes: usize,
    progress: Progress,
    output: Output,
    /// What is safe.
    report: Report,
    /// Jobs whose id could not be told.
    unprinted: u64,
}

#[derive(Debug)]
struct UnderWay {
    /// Of tasks that are to be pushed first.
    bytes: usize,
    job: JoinHandle<Done>,
}

/// What stdout is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// The id of each job that was created, as soon as it is safe.
    Ids,
    /// Nothing, as far as jobs are concerned.
    Nothing,
}

/// The jobs that are safe.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    /// Those that were created.
    pub(crate) created: Vec<JobId>,
    /// Those that were there before.
    pub(crate) before: Vec<JobId>,
    /// How many tasks the created ones have.
    pub(crate) tasks: u64,
}

/// A job that has come to its end.
#[derive(Debug)]
pub(crate) struct Done {
    id: JobId,
    tasks: u64,
    outcome: anyhow::Result<Submitted>,
}

impl Commits {
    pub(crate) fn new(progress: Progress, output: Output) -> Self {
        Self {
            under_way: VecDeque::new(),
            bytes: 0,
            progress,
            output,
            report: Report::default(),
            unprinted: 0,
        }
    }

    /// Whether no further one should be begun now.
    pub(crate) fn are_full(&self) -> bool {
        self.under_way.len() >= AT_ONCE || self.bytes >= BYTES_MAX
    }

    /// Commits a job whose tasks are all staged.
    pub(crate) fn begin(&mut self, staging: Staging, stop: &Stop) {
        self.begin_whole(staging, Vec::new(), stop);
    }

    /// Stages these tasks, which are all that the job has unless there are none, and commits it.
    pub(crate) fn begin_whole(&mut self, mut staging: Staging, tasks: Vec<Vec<u8>>, stop: &Stop) {
        let (stop, mut progress) = (stop.clone(), self.progress.clone());
        let bytes = tasks.iter().map(Vec::len).sum();
        let job = tokio::spawn(async move {
            let id = staging.id().clone();
            if !tasks.is_empty() {
                let pushed = stop.unless_requested(staging.push(&tasks)).await;
                if let Err(error) = pushed.unwrap_or_else(|| Err(interrupted())) {
                    staging.abandon().await;
                    return Done {
                        id,
                        tasks: 0,
                        outcome: Err(error),
                    };
                }
                drill::point("first-push");
                progress.staged(tasks.len() as u64, bytes as u64);
            }
            drop(tasks);
            let tasks = staging.count();
            let outcome = staging.commit(&stop).await;
            Done { id, tasks, outcome }
        });
        self.bytes += bytes;
        self.under_way.push_back(UnderWay { bytes, job });
    }

    /// Waits for the oldest one; `None` when there is none. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<anyhow::Result<Done>> {
        let done = (&mut self.under_way.front_mut()?.job).await;
        let ended = self.under_way.pop_front()?;
        self.bytes -= ended.bytes;
        Some(done.map_err(|error| anyhow!("failed to commit a job: {error}")))
    }

    /// Waits for all of them and tells of each.
    ///
    /// # Errors
    /// The first failure.
    pub(crate) async fn settle(&mut self) -> anyhow::Result<()> {
        let mut settled = Ok(());
        while let Some(done) = self.next().await {
            settled = settled.and(self.tell(done));
        }
        settled
    }

    /// Tells what became of a job: its id on stdout when it was created.
    ///
    /// # Errors
    /// Its own, when it was not submitted.
    pub(crate) fn tell(&mut self, done: anyhow::Result<Done>) -> anyhow::Result<()> {
        let Done { id, tasks, outcome } = done?;
        let outcome = outcome?;
        self.progress.clone().aside(|| match &outcome {
            Submitted::Created => {
                info!(job.id = %id, tasks, "submitted");
                self.print(&id);
            }
            Submitted::Before(None) => warn!(job.id = %id, "already submitted, nothing changed"),
            Submitted::Before(Some(difference)) => {
                warn!(job.id = %id, "already submitted, nothing changed, although that job is another one: {difference}");
            }
        });
        match outcome {
            Submitted::Created => {
                self.report.tasks += tasks;
                self.report.created.push(id);
            }
            Submitted::Before(_) => self.report.before.push(id),
        }
        Ok(())
    }

    /// Prints the id of a job that is safe. The job stays when nobody listens, and so do those after it.
    fn print(&mut self, id: &JobId) {
        if self.output == Output::Nothing {
            return;
        }
        let mut stdout = stdout().lock();
        if let Err(error) = writeln!(stdout, "{id}").and_then(|()| stdout.flush()) {
            self.unprinted += 1;
            warn!(job.id = %id, %error, "submitted, but failed to print the id");
        }
    }

    /// With which status a run ends in which no job failed.
    pub(crate) fn status(&self) -> Status {
        if self.safe() == 0 {
            info!("the input has no tasks, and with --batch that makes no job");
        }
        if self.unprinted == 0 {
            Status::Success
        } else {
            Status::Failure
        }
    }

    /// What is safe so far.
    pub(crate) const fn report(&self) -> &Report {
        &self.report
    }

    fn safe(&self) -> usize {
        self.report.created.len() + self.report.before.len()
    }

    /// What a failed run leaves behind, in words; `None` when that is nothing.
    pub(crate) fn left_behind(&self) -> Option<String> {
        match self.safe() {
            0 => None,
            1 => Some("one job was submitted, the rest was not".to_owned()),
            safe => Some(format!("{safe} jobs were submitted, the rest was not")),
        }
    }
}
