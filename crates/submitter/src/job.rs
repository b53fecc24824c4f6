//! One job on its way: staged, invisible; then created and opened, or taken back.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow, bail};
use distjob_core::{
    JobData, JobEntry, JobId, QueueName, Source, Token,
    store::{Push, PushRequest},
    submission::{Known, Opened, Withdrawal, difference},
};
use distjob_runtime::{
    drill,
    exit::Status,
    reach::Reach,
    shutdown::Stop,
    store::StoreError,
    zk::{Created, JobRead, Written, ZkError},
};
use tokio::time::sleep;
use uuid::Uuid;

/// What became of a job that was to be submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Submitted {
    /// It was created, and is safe.
    Created,
    /// A job of that id was submitted before, and stays as it is. In what it differs, as far as that is known.
    Before(Option<String>),
}

/// A job whose tasks are being pushed, under a token of its own. Nobody but this program can see it, and its tasks
/// expire unless it looks after them.
#[derive(Debug)]
pub(crate) struct Staging {
    reach: Arc<Reach>,
    id: JobId,
    queue: QueueName,
    token: Token,
    ttl: Duration,
    count: u64,
}

impl Staging {
    pub(crate) fn begin(
        reach: Arc<Reach>,
        id: JobId,
        queue: QueueName,
        ttl: Duration,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            reach,
            id,
            queue,
            token: Token::new(Uuid::now_v7().simple().to_string())?,
            ttl,
            count: 0,
        })
    }

    pub(crate) const fn id(&self) -> &JobId {
        &self.id
    }

    /// How many tasks were pushed.
    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    /// Appends tasks. When the future is dropped they may or may not be there: only [`Staging::abandon`] may follow.
    pub(crate) async fn push(&mut self, tasks: &[Vec<u8>]) -> anyhow::Result<()> {
        match self.append(tasks).await? {
            Appended::Yes => Ok(()),
            // Only an open of this token answers so, and nothing was created that could be opened.
            Appended::Opened => bail!(
                "failed to push tasks of job {}: it is open already under this token",
                self.id
            ),
        }
    }

    async fn append(&mut self, tasks: &[Vec<u8>]) -> anyhow::Result<Appended> {
        let upto = self.count + tasks.len() as u64;
        let this = &*self;
        let push = this.reach.redis(|| this.send(tasks, this.ttl)).await;
        match push.with_context(|| format!("failed to push tasks of job {}", self.id))? {
            Push::Ok(length) if length == upto => {}
            Push::Ok(length) | Push::Gap(length) => bail!(
                "failed to push tasks of job {}: redis has {length} where {upto} belong, the others expired (see \
                 [submitter] staging_ttl) or were lost; nothing of it is submitted, run this again",
                self.id
            ),
            Push::Opened => return Ok(Appended::Opened),
        }
        self.count = upto;
        Ok(Appended::Yes)
    }

    async fn send(&self, tasks: &[Vec<u8>], ttl: Duration) -> Result<Push, StoreError> {
        let request = PushRequest {
            source: &self.token,
            offset: self.count,
            ttl_s: ttl.as_secs().max(1),
            tasks,
        };
        self.reach.store().push(&self.id, &request).await
    }

    /// Waits for `work` while the staged tasks are kept from expiring. Cancel safe when `work` is.
    pub(crate) async fn kept_alive<T>(&self, work: impl Future<Output = T>) -> T {
        let keep_alive = async {
            loop {
                sleep(self.ttl / 3).await;
                if self.count > 0 {
                    // A failure is met again, and told, by whoever needs Redis next.
                    if let Err(error) = self.send(&[], self.ttl).await {
                        tracing::debug!(job.id = %self.id, %error, "failed to keep staged tasks alive");
                    }
                }
            }
        };
        tokio::select! {
            output = work => output,
            () = keep_alive => unreachable!("it goes round for ever"),
        }
    }

    /// Gives the job up before it was created: what was pushed expires in a second. One attempt; without Redis it
    /// expires when its time is over.
    pub(crate) async fn abandon(self) {
        if self.count > 0
            && let Err(error) = self.send(&[], Duration::from_secs(1)).await
        {
            tracing::debug!(job.id = %self.id, %error, "failed to remove staged tasks, they will expire");
        }
    }

    /// Makes the staged tasks a job.
    ///
    /// The request to stop counts until the job is to be created. Not to be dropped: it ends within the time limit of
    /// the questions that it asks, and leaves nothing half done.
    ///
    /// # Errors
    /// The job was not submitted. When that is not certain, the error says so.
    pub(crate) async fn commit(mut self, stop: &Stop) -> anyhow::Result<Submitted> {
        let data = JobData::submitted(self.count, self.queue.clone(), self.source());
        loop {
            let known = stop.unless_requested(self.prepare()).await;
            match known.unwrap_or_else(|| Err(interrupted())) {
                Ok(Known::Nothing) => {}
                Ok(Known::Ours) => return Ok(Submitted::Created),
                Ok(Known::Open | Known::Done) => return self.submitted_before(&data).await,
                Err(error) => {
                    self.abandon().await;
                    return Err(error);
                }
            }
            drill::point("pushed");
            match self.kept_alive(self.create(&data)).await {
                Ok(Created::Yes(entry)) => return self.open(&entry).await,
                Ok(Created::Exists(_)) => return self.submitted_before(&data).await,
                // Never created, or come and gone while the reply got lost: the store knows.
                Ok(Created::Absent) => {}
                Err(error) if Status::of(&error) == Status::Unreachable => {
                    return Err(error.context(format!(
                        "failed to create job {0}, which may have come to be nevertheless: submit it again with --id \
                         {0}, or look with distjobctl show {0}",
                        self.id
                    )));
                }
                Err(error) => {
                    let error = error.context(format!("failed to create job {}", self.id));
                    self.abandon().await;
                    return Err(error);
                }
            }
        }
    }

    /// Makes sure that all is there, in a store of this ledger, and asks what it knows of the id.
    async fn prepare(&mut self) -> anyhow::Result<Known> {
        if self.count > 0 && self.append(&[]).await? == Appended::Opened {
            // It was created after all by an attempt whose reply got lost, and executors were faster than this program.
            return Ok(Known::Ours);
        }
        self.kept_alive(self.reach.ensure_belonging()).await?;
        let source = self.source();
        let inspection = self
            .reach
            .redis(|| self.reach.store().inspect(&self.id, &source))
            .await
            .with_context(|| format!("failed to look for an earlier job {}", self.id))?;
        Ok(Known::judge(inspection.meta.as_ref(), &self.token))
    }

    async fn create(&self, data: &JobData) -> anyhow::Result<Created> {
        self.reach
            .zookeeper(|ledger| async move {
                match ledger.create(&self.id, data).await {
                    Err(ZkError::SessionOver) => Ok(Created::Absent),
                    created => created,
                }
            })
            .await
    }

    /// Opens the job that was created; takes it back when that cannot be.
    async fn open(&self, created: &JobEntry) -> anyhow::Result<Submitted> {
        drill::point("created");
        if self.count == 0 {
            // There is nothing to open: the znode is the job.
            return Ok(Submitted::Created);
        }
        let source = self.source();
        let reply = self
            .reach
            .redis(|| {
                self.reach
                    .store()
                    .open(&self.id, created.life, self.count, &source)
            })
            .await;
        let failure = match reply.map(|reply| Opened::judge(&reply, self.count)) {
            Ok(Opened::Safe) => {
                drill::point("opened");
                return Ok(Submitted::Created);
            }
            Ok(Opened::Failed(why)) => anyhow!("{why}"),
            Err(error) => error,
        };
        let failure = failure.context(format!("failed to open job {}", self.id));
        match self.withdraw(created).await {
            Ok(Withdrawn::TooLate) => Ok(Submitted::Created),
            Ok(Withdrawn::Yes) => Err(failure.context("it was cancelled")),
            Err(error) => Err(failure.context(format!(
                "job {} could not be cancelled and may still run ({error:#})",
                self.id
            ))),
        }
    }

    async fn withdraw(&self, created: &JobEntry) -> anyhow::Result<Withdrawn> {
        self.reach
            .zookeeper(|ledger| async move {
                loop {
                    let now = ledger.read_fresh(&self.id).await?.into_job();
                    let data = match (Withdrawal::judge(created, now.as_ref()), &now) {
                        (Withdrawal::Write(data), Some(now)) => (data, now),
                        (Withdrawal::TooLate, _) => return Ok(Withdrawn::TooLate),
                        _ => return Ok(Withdrawn::Yes),
                    };
                    if ledger.set(&self.id, data.1, &data.0).await? == Written::Yes {
                        return Ok(Withdrawn::Yes);
                    }
                }
            })
            .await
    }

    /// Leaves the job of that id as it is, and says in what it differs from this one.
    async fn submitted_before(self, data: &JobData) -> anyhow::Result<Submitted> {
        let id = &self.id;
        let read = self
            .reach
            .zookeeper(|ledger| async move { ledger.read_fresh(id).await })
            .await;
        let outcome = match read {
            Ok(JobRead::Job(found)) => Ok(Submitted::Before(difference(data, &found.data))),
            Ok(JobRead::Unreadable(_, error)) => Err(anyhow!(
                "failed to create job {}: a znode of another program has this name, its data {error}",
                self.id
            )),
            // Done, and gone from the ledger.
            Ok(JobRead::Gone) => Ok(Submitted::Before(None)),
            Err(error) => Err(error.context(format!("failed to look at the earlier job {}", self.id))),
        };
        self.abandon().await;
        outcome
    }

    fn source(&self) -> Source {
        Source::Staged(self.token.clone())
    }
}

/// The error of a run that was asked to stop.
pub(crate) fn interrupted() -> anyhow::Error {
    anyhow!("interrupted")
}

/// What became of appending tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Appended {
    /// They are there.
    Yes,
    /// What was staged has become the job, or was it.
    Opened,
}

/// What became of taking a job back.
enum Withdrawn {
    /// Nobody will run it, or it was never there.
    Yes,
    /// It is done and delivered.
    TooLate,
}
