//! One input, from its first line to the last job.

use std::{
    io::{Write as _, stdout},
    sync::Arc,
    time::Duration,
};

use distjob_core::{JobId, QueueName, submission::numbered};
use distjob_runtime::{
    drill,
    exit::Status,
    reach::{Directories, Reach, ReachSettings},
    shutdown::Stop,
};
use tracing::{info, warn};
use uuid::Uuid;

use crate::{
    cli::Order,
    config::Config,
    feed::{Feed, Input},
    job::{Staging, Submitted, interrupted},
    pieces::Piece,
    progress::Progress,
};

/// Submits the input of `order`.
///
/// The request to stop ends it between two questions to a store; a job that was created by then is first made safe or
/// taken back.
///
/// # Errors
/// When not all of the input became jobs; each id that was printed by then is a job all the same.
pub async fn run(config: Arc<Config>, order: Order, stop: Stop) -> anyhow::Result<Status> {
    let input = Input::open(&order, config.submitter.max_task_bytes)?;
    let progress = Progress::new(input.extent());
    let aside = progress.clone();
    let reach = Reach::new(ReachSettings {
        zookeeper: config.zookeeper.clone(),
        redis: config.redis.clone(),
        limit: order.timeout.unwrap_or(config.submitter.timeout),
        directories: Directories::Create,
        say: Arc::new(move |text| aside.aside(|| warn!("{text}"))),
    })?;
    // Before anything is pushed: it could be the wrong store.
    stop.unless_requested(reach.ensure_belonging())
        .await
        .unwrap_or_else(|| Err(interrupted()))?;
    let feed = input.feed(&config.submitter, order.batch)?;
    let mut submitter = Submitter {
        reach: &reach,
        queue: order.queue.unwrap_or_else(|| config.submitter.queue.clone()),
        stem: order.id,
        is_numbered: order.batch.is_some(),
        staging_ttl: config.submitter.staging_ttl,
        progress,
        jobs: 0,
        unprinted: 0,
    };
    let outcome = submitter.submit(feed, &stop).await;
    submitter.progress.end();
    outcome
}

struct Submitter<'a> {
    reach: &'a Reach,
    queue: QueueName,
    /// The id that was asked for.
    stem: Option<JobId>,
    is_numbered: bool,
    staging_ttl: Duration,
    progress: Progress,
    /// Jobs that are safe.
    jobs: u64,
    /// Of these, those whose id could not be told.
    unprinted: u64,
}

impl<'a> Submitter<'a> {
    async fn submit(&mut self, mut feed: Feed, stop: &Stop) -> anyhow::Result<Status> {
        let mut staging: Option<Staging<'a>> = None;
        loop {
            let piece = match &staging {
                Some(staging) => stop.unless_requested(staging.kept_alive(feed.next())).await,
                None => stop.unless_requested(feed.next()).await,
            };
            let step = match piece {
                Some(Ok(Some(piece))) => self.step(piece, &mut staging, stop).await,
                Some(Ok(None)) => break,
                Some(Err(error)) => Err(error),
                None => Err(interrupted()),
            };
            if let Err(error) = step {
                if let Some(staging) = staging {
                    staging.abandon().await;
                }
                return Err(match after(self.jobs) {
                    Some(after) => error.context(after),
                    None => error,
                });
            }
        }
        if self.jobs == 0 {
            info!("the input has no tasks, and with --batch that makes no job");
        }
        Ok(if self.unprinted == 0 {
            Status::Success
        } else {
            Status::Failure
        })
    }

    async fn step(
        &mut self,
        piece: Piece,
        staging: &mut Option<Staging<'a>>,
        stop: &Stop,
    ) -> anyhow::Result<()> {
        let current = match staging {
            Some(current) => current,
            None => staging.insert(self.begin()?),
        };
        match piece {
            Piece::Tasks(tasks) => {
                let pushed = stop.unless_requested(current.push(&tasks)).await;
                pushed.unwrap_or_else(|| Err(interrupted()))?;
                if current.count() == tasks.len() as u64 {
                    drill::point("first-push");
                }
                let bytes = tasks.iter().map(|task| task.len() as u64).sum();
                self.progress.staged(tasks.len() as u64, bytes);
            }
            Piece::JobEnd => {
                if let Some(complete) = staging.take() {
                    self.commit(complete, stop).await?;
                }
            }
        }
        Ok(())
    }

    fn begin(&self) -> anyhow::Result<Staging<'a>> {
        let id = match &self.stem {
            None => JobId::new(Uuid::now_v7().simple().to_string())?,
            Some(stem) if self.is_numbered => numbered(stem, self.jobs + 1)?,
            Some(id) => id.clone(),
        };
        Staging::begin(self.reach, id, self.queue.clone(), self.staging_ttl)
    }

    async fn commit(&mut self, staging: Staging<'a>, stop: &Stop) -> anyhow::Result<()> {
        let (id, count) = (staging.id().clone(), staging.count());
        let submitted = staging.commit(stop).await?;
        self.jobs += 1;
        let aside = self.progress.clone();
        match submitted {
            Submitted::Created => {
                aside.aside(|| {
                    info!(job.id = %id, queue = %self.queue, tasks = count, "submitted");
                    self.print(&id);
                });
            }
            Submitted::Before(None) => {
                aside.aside(|| warn!(job.id = %id, "already submitted, nothing changed"));
            }
            Submitted::Before(Some(difference)) => aside.aside(|| {
                warn!(job.id = %id, "already submitted, nothing changed, although that job is another one: {difference}");
            }),
        }
        Ok(())
    }

    /// Tells the id of a job that is safe. The job stays when nobody listens, and so do those after it.
    fn print(&mut self, id: &JobId) {
        let mut stdout = stdout().lock();
        if let Err(error) = writeln!(stdout, "{id}").and_then(|()| stdout.flush()) {
            self.unprinted += 1;
            warn!(job.id = %id, %error, "submitted, but failed to print the id");
        }
    }
}

/// What an error that comes in the middle leaves behind.
fn after(jobs: u64) -> Option<String> {
    match jobs {
        0 => None,
        1 => Some("the first job was submitted, the rest was not".to_owned()),
        _ => Some(format!("{jobs} jobs were submitted, the rest was not")),
    }
}
