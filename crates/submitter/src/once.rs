//! One input, from its first line to the last job.

use std::{sync::Arc, time::Duration};

use distjob_core::{JobId, QueueName, submission::numbered};
use distjob_runtime::{
    chance, drill,
    exit::Status,
    reach::{Directories, Reach, ReachSettings},
    shutdown::Stop,
};
use tracing::warn;

use crate::{
    cli::Order,
    commits::Commits,
    config::Config,
    feed::{Feed, Input},
    pieces::{JobCut, Piece},
    progress::Progress,
    staging::{Staging, interrupted},
};

/// Submits the input of `order`.
///
/// The request to stop ends it between two questions to a store; jobs that were created by then are first made safe or
/// taken back.
///
/// # Errors
/// When not all of the input became jobs; each id that was printed by then is a job all the same.
pub async fn run(config: Arc<Config>, order: Order, stop: Stop) -> anyhow::Result<Status> {
    let deadline_ms = order
        .deadline
        .map(|deadline| deadline.resolve(chance::since_1970()))
        .transpose()?;
    let input = Input::open(&order, config.submitter.max_task_bytes)?;
    let progress = Progress::new(input.extent());
    let aside = progress.clone();
    let reach = Arc::new(Reach::new(ReachSettings {
        zookeeper: config.zookeeper.clone(),
        redis: config.redis.clone(),
        limit: order.timeout.unwrap_or(config.submitter.timeout),
        directories: Directories::Create,
        say: Arc::new(move |text| aside.aside(|| warn!("{text}"))),
    })?);
    // Before anything is pushed: it could be the wrong store.
    stop.unless_requested(reach.ensure_belonging())
        .await
        .unwrap_or_else(|| Err(interrupted()))?;
    let feed = input.feed(
        &config.submitter,
        order.batch.map_or(JobCut::WHOLE, JobCut::of_tasks),
    )?;
    let mut submitter = Submitter {
        reach: Arc::clone(&reach),
        queue: order.queue.unwrap_or_else(|| config.submitter.queue.clone()),
        deadline_ms,
        stem: order.id,
        is_numbered: order.batch.is_some(),
        staging_ttl: config.submitter.staging_ttl,
        commits: Commits::new(progress.clone()),
        progress,
        begun: 0,
        staging: None,
    };
    let outcome = submitter.submit(feed, &stop).await;
    reach.leave().await;
    outcome
}

struct Submitter {
    reach: Arc<Reach>,
    queue: QueueName,
    deadline_ms: Option<u64>,
    /// The id that was asked for.
    stem: Option<JobId>,
    is_numbered: bool,
    staging_ttl: Duration,
    progress: Progress,
    /// Jobs that were begun.
    begun: u64,
    /// The job whose tasks are being read.
    staging: Option<Staging>,
    commits: Commits,
}

impl Submitter {
    async fn submit(&mut self, mut feed: Feed, stop: &Stop) -> anyhow::Result<Status> {
        let read = self.read(&mut feed, stop).await;
        if let Some(incomplete) = self.staging.take() {
            incomplete.abandon().await;
        }
        let settled = self.commits.settle().await;
        self.progress.end();
        match read.and(settled) {
            Ok(()) => Ok(self.commits.status()),
            Err(error) => Err(match self.commits.left_behind() {
                Some(left) => error.context(left),
                None => error,
            }),
        }
    }

    /// Stages what is read, until the input ends or something fails.
    async fn read(&mut self, feed: &mut Feed, stop: &Stop) -> anyhow::Result<()> {
        loop {
            let next = async {
                match &self.staging {
                    Some(staging) => staging.kept_alive(feed.next()).await,
                    None => feed.next().await,
                }
            };
            let piece = tokio::select! {
                biased;
                () = stop.requested() => return Err(interrupted()),
                Some(done) = self.commits.next() => {
                    self.commits.tell(done)?;
                    continue;
                }
                piece = next, if !self.commits.are_full() => piece?,
            };
            match piece {
                Some(Piece::Tasks(tasks)) => {
                    let pushed = stop.unless_requested(self.push(&tasks)).await;
                    pushed.unwrap_or_else(|| Err(interrupted()))?;
                }
                Some(Piece::JobEnd) => {
                    let complete = match self.staging.take() {
                        Some(staging) => staging,
                        // A job without tasks.
                        None => self.begin().await?,
                    };
                    self.commits.begin(complete, stop);
                }
                None => return Ok(()),
            }
        }
    }

    async fn push(&mut self, tasks: &[Vec<u8>]) -> anyhow::Result<()> {
        if self.staging.is_none() {
            self.staging = Some(self.begin().await?);
        }
        let count = tasks.len() as u64;
        if let Some(staging) = &mut self.staging {
            staging.push(tasks).await?;
            if staging.count() == count {
                drill::point("first-push");
            }
        }
        let bytes = tasks.iter().map(|task| task.len() as u64).sum();
        self.progress.staged(count, bytes);
        Ok(())
    }

    async fn begin(&mut self) -> anyhow::Result<Staging> {
        self.begun += 1;
        let id = match &self.stem {
            None => JobId::new(chance::fresh_id())?,
            Some(stem) if self.is_numbered => numbered(stem, self.begun)?,
            Some(id) => id.clone(),
        };
        let reach = Arc::clone(&self.reach);
        let staging = Staging::begin(reach, id, self.queue.clone(), self.staging_ttl)?;
        let mut staging = staging.with_deadline(self.deadline_ms);
        if self.stem.is_some() {
            staging.look_first().await?;
        }
        Ok(staging)
    }
}
