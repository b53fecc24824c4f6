//! One input, from its first line to the last job.

mod summary;

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use distjob_core::{JobId, QueueName, submission::numbered};
use distjob_runtime::{
    chance, drill,
    exit::Status,
    reach::{Directories, Reach, ReachSettings},
    shutdown::Stop,
    zk::Seat,
};
use tokio::{task::spawn_blocking, time::Instant};
use tracing::warn;

use crate::{
    cli::{IdFrom, Order},
    commits::{Commits, Output, Report},
    config::Config,
    digest::id_of,
    feed::{Feed, Input},
    lock::Lock,
    pieces::{JobCut, Piece},
    progress::Progress,
    staging::{Place, Staging, interrupted},
};

/// Submits the input of `order`.
///
/// The request to stop ends it between two questions to a store; jobs that were created by then are first made safe or
/// taken back.
///
/// # Errors
/// When not all of the input became jobs; each id that was printed by then is a job all the same.
pub async fn run(config: Arc<Config>, order: Order, stop: Stop) -> anyhow::Result<Status> {
    let begun = Instant::now();
    let queue = order
        .queue
        .clone()
        .unwrap_or_else(|| config.submitter.queue.clone());
    let mut report = Report::default();
    let outcome = locked(&config, &order, &queue, &stop, &mut report).await;
    if !order.json {
        return outcome;
    }
    let told = summary::print(&queue, &report, &outcome, begun.elapsed());
    outcome.and_then(|status| told.map(|()| status))
}

/// Submits it, unless another run holds the lock.
async fn locked(
    config: &Config,
    order: &Order,
    queue: &QueueName,
    stop: &Stop,
    report: &mut Report,
) -> anyhow::Result<Status> {
    let Some(path) = &order.lock else {
        return submit(config, order, queue, stop, report).await;
    };
    let lock = Lock::take(path).with_context(|| format!("failed to lock {}", path.display()))?;
    let Some(_lock) = lock else {
        warn!(
            "another run holds the lock on {}, nothing was submitted",
            path.display()
        );
        return Ok(Status::Busy);
    };
    submit(config, order, queue, stop, report).await
}

async fn submit(
    config: &Config,
    order: &Order,
    queue: &QueueName,
    stop: &Stop,
    report: &mut Report,
) -> anyhow::Result<Status> {
    let deadline_ms = order
        .deadline
        .map(|deadline| deadline.resolve(chance::since_1970()))
        .transpose()?;
    let (input, stem) = input(config, order, queue, stop).await?;
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
    let output = if order.json { Output::Nothing } else { Output::Ids };
    let mut submitter = Submitter {
        reach: Arc::clone(&reach),
        queue: queue.clone(),
        deadline_ms,
        stem,
        batch: order.batch,
        place: order.group.clone().map(|group| Place {
            group,
            seat: Seat::Another,
        }),
        last: order.last.then_some(Last::Unknown),
        staging_ttl: config.submitter.staging_ttl,
        commits: Commits::new(progress.clone(), output),
        progress,
        begun: 0,
        staging: None,
        whole: None,
    };
    let outcome = submitter.submit(feed, stop).await;
    report.clone_from(submitter.commits.report());
    reach.leave().await;
    outcome
}

/// What is submitted, and under which id, if that is given.
async fn input(
    config: &Config,
    order: &Order,
    queue: &QueueName,
    stop: &Stop,
) -> anyhow::Result<(Input, Option<JobId>)> {
    let max_task_bytes = config.submitter.max_task_bytes;
    let Some(IdFrom::Content) = order.id_from else {
        return Ok((Input::open(order, max_task_bytes)?, order.id.clone()));
    };
    let (order, queue) = (order.clone(), queue.clone());
    let read = spawn_blocking(move || Input::open_summed(&order, &queue, max_task_bytes));
    let read = stop.unless_requested(read).await.ok_or_else(interrupted)?;
    let (input, sum) = read.context("failed to read the input")??;
    Ok((input, Some(id_of(&sum)?)))
}

/// Pieces of one job that are pushed along with the one before, without waiting for the reply to that, if they are there.
const AHEAD: usize = 2;

/// The last job of a group.
enum Last {
    /// It has yet to come.
    Unknown,
    /// This one, if no other follows.
    Held(Staging),
}

struct Submitter {
    reach: Arc<Reach>,
    queue: QueueName,
    deadline_ms: Option<u64>,
    /// The id that was asked for.
    stem: Option<JobId>,
    /// How many tasks a job has, if not the whole input is one.
    batch: Option<u64>,
    place: Option<Place>,
    /// The job that closes the group, if one is to.
    last: Option<Last>,
    staging_ttl: Duration,
    progress: Progress,
    /// Jobs that were begun.
    begun: u64,
    /// The job whose tasks are being read.
    staging: Option<Staging>,
    /// A job of which all tasks are read, and nothing is staged.
    whole: Option<(Staging, Vec<Vec<u8>>)>,
    commits: Commits,
}

impl Submitter {
    async fn submit(&mut self, mut feed: Feed, stop: &Stop) -> anyhow::Result<Status> {
        let read = self.read(&mut feed, stop).await;
        if let Some(incomplete) = self.staging.take() {
            incomplete.abandon().await;
        }
        if let Some(Last::Held(held)) = self.last.take() {
            held.abandon().await;
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
                match (&self.staging, &self.last) {
                    (Some(staging), Some(Last::Held(held))) => {
                        held.kept_alive(staging.kept_alive(feed.next())).await
                    }
                    (Some(staging), _) => staging.kept_alive(feed.next()).await,
                    (None, Some(Last::Held(held))) => held.kept_alive(feed.next()).await,
                    (None, _) => feed.next().await,
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
                Some(Piece::Tasks(tasks)) if self.is_whole(&tasks) => {
                    let staging = self.begin().await?;
                    self.whole = Some((staging, tasks));
                }
                Some(Piece::Tasks(tasks)) => {
                    let mut runs = vec![tasks];
                    runs.extend(feed.more_tasks(AHEAD));
                    let pushed = stop.unless_requested(self.push(&runs)).await;
                    pushed.unwrap_or_else(|| Err(interrupted()))?;
                }
                Some(Piece::JobEnd) if self.whole.is_some() => {
                    if let Some((staging, tasks)) = self.whole.take() {
                        self.commits.begin_whole(staging, tasks, stop);
                    }
                }
                Some(Piece::JobEnd) => {
                    let complete = match self.staging.take() {
                        Some(staging) => staging,
                        // A job without tasks.
                        None => self.begin().await?,
                    };
                    self.complete(complete, stop);
                }
                None => return self.close(stop).await,
            }
        }
    }

    /// Commits a job whose tasks are all staged; one that may be the last of its group waits until that is known.
    fn complete(&mut self, job: Staging, stop: &Stop) {
        let next = match &mut self.last {
            None => Some(job),
            Some(last) => match std::mem::replace(last, Last::Held(job)) {
                Last::Held(earlier) => Some(earlier),
                Last::Unknown => None,
            },
        };
        if let Some(job) = next {
            self.commits.begin(job, stop);
        }
    }

    /// Closes the group with the last job, if it is to be closed. All others are members by then, or it stays open.
    async fn close(&mut self, stop: &Stop) -> anyhow::Result<()> {
        let last = match self.last.take() {
            None => return Ok(()),
            Some(Last::Held(last)) => last,
            // The input made no job, but only a job can close a group.
            Some(Last::Unknown) => self.begin().await?,
        };
        if let Err(error) = last.kept_alive(self.commits.settle()).await {
            last.abandon().await;
            return Err(error);
        }
        self.commits.begin(last.as_last(), stop);
        Ok(())
    }

    /// Whether these are all tasks of a job, so that nothing but its end can follow; and it is not a job that has to wait.
    fn is_whole(&self, tasks: &[Vec<u8>]) -> bool {
        self.staging.is_none() && self.last.is_none() && self.batch == Some(tasks.len() as u64)
    }

    async fn push(&mut self, runs: &[Vec<Vec<u8>>]) -> anyhow::Result<()> {
        if self.staging.is_none() {
            self.staging = Some(self.begin().await?);
        }
        let runs: Vec<&[Vec<u8>]> = runs.iter().map(Vec::as_slice).collect();
        let count = runs.iter().map(|run| run.len() as u64).sum();
        if let Some(staging) = &mut self.staging {
            staging.push_runs(&runs).await?;
            if staging.count() == count {
                drill::point("first-push");
            }
        }
        let bytes = runs.iter().copied().flatten().map(|task| task.len() as u64).sum();
        self.progress.staged(count, bytes);
        Ok(())
    }

    async fn begin(&mut self) -> anyhow::Result<Staging> {
        self.begun += 1;
        let id = match &self.stem {
            None => JobId::new(chance::fresh_id())?,
            Some(stem) if self.batch.is_some() => numbered(stem, self.begun)?,
            Some(id) => id.clone(),
        };
        let reach = Arc::clone(&self.reach);
        let staging = Staging::begin(reach, id, self.queue.clone(), self.staging_ttl)?;
        let mut staging = staging
            .with_deadline(self.deadline_ms)
            .in_group(self.place.clone());
        if self.stem.is_some() {
            staging.look_first().await?;
        }
        Ok(staging)
    }
}
