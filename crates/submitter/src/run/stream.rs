//! An input of any length, as a stream of jobs.

use distjob_core::{JobId, QueueName};

use super::desk::{Desk, Handed, SubmitError, part_id};
use crate::{feed::Feed, pieces::Piece, staging::Staging};

/// How the jobs of an input are called, and what is known of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Series<'a> {
    /// The id of the first; the others are `<stem>-0002` and so on.
    pub(crate) stem: &'a JobId,
    /// Their queue.
    pub(crate) queue: &'a QueueName,
    /// The first ones, if they are known to be safe: the stores are not asked about those, which may have forgotten them.
    pub(crate) known: &'a [JobId],
}

impl Desk {
    /// Makes jobs of an input, as its pieces say. Each job is committed as soon as its tasks are read, and `safe` hears of
    /// it; memory holds a few pieces. One attempt: with a store away it fails after `[submitter] timeout`. The same input
    /// in the same series may be handed in again, and changes nothing then.
    ///
    /// # Errors
    /// Says why not all of it was submitted; the jobs that `safe` heard of are safe. Dropped, it leaves what was staged to
    /// expire, and a job that was being committed may have come to be: hand the input in again.
    pub(crate) async fn submit(
        &self,
        series: Series<'_>,
        mut feed: Feed,
        mut safe: impl FnMut(&JobId),
    ) -> Result<Handed, SubmitError> {
        let mut handed = Handed::default();
        let mut part: Option<Part> = None;
        let read = self.unless_ending(async {
            loop {
                let piece = match &part {
                    Some(Part::Staged(staging)) => staging.kept_alive(feed.piece()).await?,
                    _ => feed.piece().await?,
                };
                let Some(piece) = piece else { return Ok(()) };
                let mut current = match part.take() {
                    Some(current) => current,
                    None => self.begin_part(series, handed.jobs.len()).await?,
                };
                match piece {
                    Piece::Tasks(tasks) => {
                        let pushed = current.push(&tasks).await;
                        part = Some(current);
                        pushed?;
                    }
                    Piece::JobEnd => {
                        let id = current.id().clone();
                        handed.tasks += current.count();
                        handed.before += usize::from(self.end_part(current, &mut safe).await?);
                        handed.jobs.push(id);
                    }
                }
            }
        });
        let outcome = read.await;
        if let Some(Part::Staged(incomplete)) = part.take() {
            incomplete.abandon().await;
        }
        outcome.map(|()| handed)
    }

    /// Begins the job behind `earlier` ones. What was submitted before is noticed, and not pushed again.
    async fn begin_part(&self, series: Series<'_>, earlier: usize) -> Result<Part, SubmitError> {
        let id = part_id(series.stem, earlier)?;
        if series.known.get(earlier) == Some(&id) {
            return Ok(Part::Known { id, count: 0 });
        }
        let mut staging = self.begin(id, series.queue)?;
        staging.look_first().await.map_err(SubmitError::Failed)?;
        Ok(Part::Staged(staging))
    }

    /// Makes it a job. Whether it was one before.
    async fn end_part(&self, part: Part, safe: &mut impl FnMut(&JobId)) -> Result<bool, SubmitError> {
        let Part::Staged(staging) = part else {
            return Ok(true);
        };
        let id = staging.id().clone();
        let _turn = self.turn().await;
        let was_before = self.commit(staging).await?;
        safe(&id);
        Ok(was_before)
    }
}

/// One job of an input that is being read.
#[derive(Debug)]
enum Part {
    /// It is to be made.
    Staged(Staging),
    /// It is safe: its tasks are only counted.
    Known { id: JobId, count: u64 },
}

impl Part {
    const fn id(&self) -> &JobId {
        match self {
            Self::Staged(staging) => staging.id(),
            Self::Known { id, .. } => id,
        }
    }

    const fn count(&self) -> u64 {
        match self {
            Self::Staged(staging) => staging.count(),
            Self::Known { count, .. } => *count,
        }
    }

    async fn push(&mut self, tasks: &[Vec<u8>]) -> Result<(), SubmitError> {
        match self {
            Self::Staged(staging) => staging.push(tasks).await.map_err(SubmitError::Failed),
            Self::Known { count, .. } => {
                *count += tasks.len() as u64;
                Ok(())
            }
        }
    }
}
