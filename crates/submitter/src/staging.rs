//! A job before anybody can see it: its tasks, staged under a token.

mod commit;
mod group;

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use distjob_core::{
    JobData, JobId, QueueName, Source, Token,
    store::{Push, PushRequest},
    submission::Known,
};
use distjob_runtime::{
    chance,
    reach::Reach,
    store::StoreError,
    zk::{JobRead, Seat},
};
use futures::{
    FutureExt as _,
    future::{join_all, try_join},
};
use tokio::time::{Instant, sleep};

pub use commit::Submitted;
pub(crate) use commit::interrupted;
pub use group::Place;

/// A job whose tasks are being pushed, under a token of its own. Nobody but this program can see it, and its tasks
/// expire unless it looks after them.
#[derive(Debug)]
pub struct Staging {
    reach: Arc<Reach>,
    id: JobId,
    queue: QueueName,
    deadline_ms: Option<u64>,
    place: Option<Place>,
    token: Token,
    ttl: Duration,
    count: u64,
    /// When all of them were sent, if that was done by a single push: its answer speaks of the whole list.
    pushed_at: Option<Instant>,
    /// Whether the id was found in use, so that nothing needs to be pushed, only counted.
    is_used: bool,
}

impl Staging {
    /// Nothing yet, for a job `id` in `queue`. What will be pushed lives for `ttl` without a sign of life of this program,
    /// in whole seconds.
    ///
    /// # Errors
    /// None but that a fresh token is no token.
    pub fn begin(reach: Arc<Reach>, id: JobId, queue: QueueName, ttl: Duration) -> anyhow::Result<Self> {
        Ok(Self {
            reach,
            id,
            queue,
            deadline_ms: None,
            place: None,
            token: Token::new(chance::fresh_id())?,
            ttl,
            count: 0,
            pushed_at: None,
            is_used: false,
        })
    }

    /// Lets the job have a deadline, in milliseconds since 1970.
    #[must_use]
    pub fn with_deadline(self, deadline_ms: Option<u64>) -> Self {
        Self { deadline_ms, ..self }
    }

    /// Lets the job be one of a group.
    #[must_use]
    pub fn in_group(self, place: Option<Place>) -> Self {
        Self { place, ..self }
    }

    /// Lets the job be the last one of its group, if it has one.
    #[must_use]
    pub fn as_last(self) -> Self {
        let place = self.place.map(|place| Place {
            seat: Seat::Last,
            ..place
        });
        Self { place, ..self }
    }

    /// Looks whether the id is in use already: then the tasks need not be pushed. Only saves work; what counts is the
    /// look before the job is created.
    ///
    /// # Errors
    /// When a store does not answer in time. Cancel safe.
    pub async fn look_first(&mut self) -> anyhow::Result<()> {
        let id = &self.id;
        let read = self
            .reach
            .zookeeper(|ledger| async move { ledger.read(id).await });
        self.is_used = match read
            .await
            .with_context(|| format!("failed to look for a job {id}"))?
        {
            JobRead::Job(_) => true,
            JobRead::Unreadable(..) => false,
            JobRead::Gone => self.known().await? != Known::Nothing,
        };
        Ok(())
    }

    /// The job that it is to be.
    #[must_use]
    pub const fn id(&self) -> &JobId {
        &self.id
    }

    /// How many tasks were pushed.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Whether [`Staging::look_first`] found the id in use.
    #[must_use]
    pub const fn is_used(&self) -> bool {
        self.is_used
    }

    /// Appends tasks. When the future is dropped they may or may not be there: only [`Staging::abandon`] may follow.
    ///
    /// # Errors
    /// When they are not all there: the store did not take them in time, or lost some.
    pub async fn push(&mut self, tasks: &[Vec<u8>]) -> anyhow::Result<()> {
        self.push_runs(&[tasks]).await
    }

    /// Appends several runs of tasks, of which none waits for the reply to the one before.
    ///
    /// # Errors
    /// As [`Staging::push`], and the same holds of a future that is dropped.
    pub async fn push_runs(&mut self, runs: &[&[Vec<u8>]]) -> anyhow::Result<()> {
        let upto = self.count + runs.iter().map(|run| run.len() as u64).sum::<u64>();
        if self.is_used {
            self.count = upto;
            return Ok(());
        }
        let Some((first, behind)) = runs.split_first() else {
            return Ok(());
        };
        let sent_at = Instant::now();
        let this = &*self;
        let mut offset = this.count + first.len() as u64;
        let sends = behind.iter().map(|run| {
            let at = offset;
            offset += run.len() as u64;
            this.send(at, run, this.ttl)
        });
        // In this order, through one connection.
        let (_, replies) = try_join(this.append(this.count, first, upto), join_all(sends).map(Ok)).await?;
        self.pushed_at = (self.count == 0 && behind.is_empty()).then_some(sent_at);
        self.count += first.len() as u64;
        for (run, reply) in behind.iter().zip(replies) {
            let end = self.count + run.len() as u64;
            // Whatever else was heard: it is sent again, until the answer is clear.
            if !reply.is_ok_and(|push| push == Push::Ok(end)) {
                self.append(self.count, run, upto).await?;
            }
            self.count = end;
        }
        Ok(())
    }

    /// Appends tasks behind so many others, however often that takes. The list may have up to `most` of them: what was sent
    /// behind these already.
    async fn append(&self, offset: u64, tasks: &[Vec<u8>], most: u64) -> anyhow::Result<()> {
        match self.touch(offset, tasks, most).await? {
            Appended::Yes => Ok(()),
            // Only an open of this token answers so, and nothing was created that could be opened.
            Appended::Opened => bail!(
                "failed to push tasks of job {}: it is open already under this token",
                self.id
            ),
        }
    }

    /// As [`Staging::append`]; but the list may have become the job by now.
    async fn touch(&self, offset: u64, tasks: &[Vec<u8>], most: u64) -> anyhow::Result<Appended> {
        let upto = offset + tasks.len() as u64;
        let push = self.reach.redis(|| self.send(offset, tasks, self.ttl)).await;
        match push.with_context(|| format!("failed to push tasks of job {}", self.id))? {
            Push::Ok(length) if (upto..=most).contains(&length) => Ok(Appended::Yes),
            Push::Ok(length) | Push::Gap(length) => bail!(
                "failed to push tasks of job {}: redis has {length} where {upto} belong, the others expired (see \
                 [submitter] staging_ttl) or were lost; nothing of it is submitted, run this again",
                self.id
            ),
            Push::Opened => Ok(Appended::Opened),
        }
    }

    async fn send(&self, offset: u64, tasks: &[Vec<u8>], ttl: Duration) -> Result<Push, StoreError> {
        let request = PushRequest {
            source: &self.token,
            offset,
            ttl_s: ttl.as_secs().max(1),
            tasks,
        };
        self.reach.store().push(&self.id, &request).await
    }

    /// How often staged tasks are kept from expiring.
    fn keep_every(&self) -> Duration {
        self.ttl / 3
    }

    /// Whether so little time has passed since a single push put everything there that the store need not be asked again: as
    /// much may pass between asking and creating the job. For a job of many pushes one question more is nothing.
    fn is_surely_there(&self) -> bool {
        self.pushed_at.is_some_and(|at| at.elapsed() < self.keep_every())
    }

    /// Waits for `work` while the staged tasks are kept from expiring. Cancel safe when `work` is.
    pub(crate) async fn kept_alive<T>(&self, work: impl Future<Output = T>) -> T {
        let keep_alive = async {
            loop {
                sleep(self.keep_every()).await;
                if self.is_staged() {
                    // A failure is met again, and told, by whoever needs Redis next.
                    if let Err(error) = self.send(self.count, &[], self.ttl).await {
                        tracing::debug!(job.id = %self.id, %error, "failed to keep staged tasks alive");
                    }
                }
            }
        };
        tokio::select! {
            biased;
            output = work => output,
            () = keep_alive => unreachable!("it goes round for ever"),
        }
    }

    /// Gives the job up before it was created: what was pushed expires in a second. One attempt; without Redis it
    /// expires when its time is over.
    pub async fn abandon(self) {
        if self.is_staged()
            && let Err(error) = self.send(self.count, &[], Duration::from_secs(1)).await
        {
            tracing::debug!(job.id = %self.id, %error, "failed to remove staged tasks, they will expire");
        }
    }

    async fn known(&self) -> anyhow::Result<Known> {
        let source = self.source();
        let inspection = self
            .reach
            .redis(|| self.reach.store().inspect(&self.id, &source))
            .await
            .with_context(|| format!("failed to look for an earlier job {}", self.id))?;
        Ok(Known::judge(inspection.meta.as_ref(), &self.token))
    }

    const fn is_staged(&self) -> bool {
        self.count > 0 && !self.is_used
    }

    /// What the ledger will say of the job.
    fn data(&self) -> JobData {
        let data = JobData {
            deadline_ms: self.deadline_ms,
            ..JobData::submitted(self.count, self.queue.clone(), self.source())
        };
        match &self.place {
            Some(place) => data.in_group(place.group.clone()),
            None => data,
        }
    }

    /// Where its tasks are, as the ledger will say it.
    #[must_use]
    pub fn source(&self) -> Source {
        Source::Staged(self.token.clone())
    }
}

/// What became of appending tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Appended {
    /// They are there.
    Yes,
    /// What was staged has become the job, or was it.
    Opened,
}
