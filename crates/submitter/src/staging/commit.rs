//! The way from staged tasks to a job: created and opened, or taken back.

use anyhow::{Context as _, anyhow, bail};
use distjob_core::{
    JobData, JobEntry, JobState,
    store::Open,
    submission::{Known, Opened, Withdrawal, difference},
};
use distjob_runtime::{
    drill,
    exit::Status,
    shutdown::Stop,
    zk::{Created, JobRead, Written, ZkError},
};

use futures::future::join;

use super::{Appended, Staging};

/// What became of a job that was to be submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// It was created, and is safe.
    Created,
    /// A job of that id was submitted before, and stays as it is. In what it differs, as far as that is known.
    Before(Option<String>),
}

impl Staging {
    /// Makes the staged tasks a job.
    ///
    /// The request to stop counts until the job is to be created. Not to be dropped: it ends within the time limit of
    /// the questions that it asks, and leaves nothing half done.
    ///
    /// # Errors
    /// The job was not submitted. When that is not certain, the error says so.
    pub async fn commit(self, stop: &Stop) -> anyhow::Result<Submitted> {
        let data = self.data();
        if self.is_used {
            return self.submitted_before(&data).await;
        }
        // Whether a create was sent of which nobody knows what became: it may still come to be.
        let mut is_unclear = false;
        loop {
            let known = stop.unless_requested(self.prepare(is_unclear)).await;
            match known.unwrap_or_else(|| Err(interrupted())) {
                Ok(Known::Nothing) => {}
                Ok(Known::Ours) => return Ok(Submitted::Created),
                Ok(Known::Open | Known::Done) => return self.submitted_before(&data).await,
                Err(error) if is_unclear => return self.give_up(error).await,
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
                Ok(Created::Absent) => is_unclear = true,
                Err(error) if Status::of(&error) == Status::Unreachable => return Err(self.unclear(error)),
                Err(error) if is_unclear => return self.give_up(error).await,
                Err(error) => {
                    let error = error.context(format!("failed to create job {}", self.id));
                    self.abandon().await;
                    return Err(error);
                }
            }
        }
    }

    /// Ends a submission that cannot go on for `failure`, although the job may have been created.
    async fn give_up(&self, failure: anyhow::Error) -> anyhow::Result<Submitted> {
        let read = self
            .reach
            .zookeeper(|ledger| async move { ledger.read_fresh(&self.id).await });
        match read.await {
            Ok(JobRead::Job(entry)) if entry.data.source == self.source() => {
                self.take_back(&entry, failure).await
            }
            Ok(_) => Err(failure),
            Err(_) => Err(self.unclear(failure)),
        }
    }

    /// The error of a job that may have been created, or may yet be. Its tasks stay for as long as they live by
    /// themselves, so that it is whole in that case.
    fn unclear(&self, error: anyhow::Error) -> anyhow::Error {
        error.context(format!(
            "failed to create job {0}, which may have come to be nevertheless: submit it again with --id {0}, or look \
             with distjobctl show {0}",
            self.id
        ))
    }

    /// Makes sure that all is there, in a store of this ledger, and asks what it knows of the id.
    async fn prepare(&self, is_unclear: bool) -> anyhow::Result<Known> {
        let is_sure = self.count == 0 || (self.is_surely_there() && !is_unclear);
        if !is_sure && self.touch(self.count, &[], self.count).await? == Appended::Opened {
            // It was created after all by an attempt whose reply got lost, and executors were faster than this program.
            return Ok(Known::Ours);
        }
        // At the same time, although a store that is emptied just after its mark was read then knows nothing of the id, be it that
        // of a job that is done. It has lost the tasks as well, as these were there before either question: so `open` finds none, and
        // the job is taken back. One without tasks is delivered empty once more, as after the end of its tombstone.
        let asked = join(self.reach.ensure_belonging(), self.known());
        let (belonging, known) = self.kept_alive(asked).await;
        belonging?;
        known
    }

    async fn create(&self, data: &JobData) -> anyhow::Result<Created> {
        if let Some(place) = &self.place {
            return self.create_member(data, place).await;
        }
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
        self.take_back(created, failure).await
    }

    /// Takes a job back that cannot be made safe for `failure`, which is what is left to report then.
    async fn take_back(&self, created: &JobEntry, failure: anyhow::Error) -> anyhow::Result<Submitted> {
        match self.withdraw(created).await {
            Ok(Withdrawn::TooLate) => Ok(Submitted::Created),
            Ok(Withdrawn::Yes) => Err(failure.context("it was cancelled")),
            Ok(Withdrawn::Gone) => Err(failure.context(format!(
                "job {} may have been done and delivered: it is gone already, and nothing tells whether somebody \
                 cancelled it",
                self.id
            ))),
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
                        (Withdrawal::Gone, _) => return Ok(Withdrawn::Gone),
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
            Ok(JobRead::Job(found)) => self.vouch_for(&found, data).await,
            Ok(JobRead::Unreadable(_, error)) => Err(anyhow!(
                "failed to create job {}: a znode of another program has this name, its data {error}",
                self.id
            )),
            // Done, and gone from the ledger.
            Ok(JobRead::Gone) => Ok(Submitted::Before(None)),
            Err(error) => Err(error.context(format!("failed to look at the earlier job {}", self.id))),
        };
        let outcome = match outcome {
            Ok(before) => self.ensure_closed().await.map(|()| before),
            failed => failed,
        };
        self.abandon().await;
        outcome
    }

    /// Makes sure that the job which stands there is safe: whoever created it may have died, or lost the connection, before
    /// it was opened, and the tasks that it staged would expire.
    async fn vouch_for(&self, found: &JobEntry, data: &JobData) -> anyhow::Result<Submitted> {
        let JobData {
            state, count, source, ..
        } = &found.data;
        match state {
            JobState::Submitted if *count > 0 => {}
            JobState::Lost => return Ok(Submitted::Before(Some("it is lost".to_owned()))),
            _ => return Ok(Submitted::Before(difference(data, &found.data))),
        }
        let store = self.reach.store();
        let reply = self
            .reach
            .redis(|| store.open(&self.id, found.life, *count, source))
            .await;
        let reply = reply.with_context(|| format!("failed to open the earlier job {}", self.id))?;
        match Opened::judge(&reply, *count) {
            Opened::Failed(why) if reply != Open::Stale => {
                bail!("job {} was created before, but {why}", self.id)
            }
            _ => Ok(Submitted::Before(difference(data, &found.data))),
        }
    }
}

/// The error of a run that was asked to stop.
pub(crate) fn interrupted() -> anyhow::Error {
    anyhow!("interrupted")
}

/// What became of taking a job back.
enum Withdrawn {
    /// Nobody will run it.
    Yes,
    /// It is done and delivered.
    TooLate,
    /// It is gone: done and delivered, or cancelled by somebody else.
    Gone,
}
