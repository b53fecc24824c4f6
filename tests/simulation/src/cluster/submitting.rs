//! What submitters and the operator do.

use std::{sync::Arc, time::Duration};

use distjob_core::{JobData, JobId, JobState, QueueName, Source};
use distjob_runtime::{
    chance,
    reach::Reach,
    shutdown::Stop,
    zk::{Created, JobRead, Written},
};
use submitter::staging::{Staging, Submitted};
use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};

use super::Cluster;
use crate::{
    history::Answer,
    network::Process,
    payload::Payload,
    plan::{How, Plan, Submission},
};

/// So many tasks go into one push.
const PUSH_TASKS: usize = 7;

/// How long a script waits for an id to be free.
const PLAIN_PATIENCE: Duration = Duration::from_secs(40);

/// Servers look for sessions that are over so often, and messages are late, too.
const LATE_MS: u64 = 4000;

/// How long pushed tasks live without a sign of life of their submitter.
const STAGING_TTL: Duration = Duration::from_secs(40);

impl Cluster {
    /// Lets a submitter of its own make a submission, and die on the way if that is planned.
    pub fn submit(&self, submission: &Submission) {
        let node = Plan::submitter(submission.number);
        self.history().begin(submission);
        let (cluster, planned) = (self.clone(), submission.clone());
        let process = self.start(node, move |process, stop| {
            Box::pin(async move {
                let answer = match planned.how {
                    How::Staged => cluster.submit_staged(process, &planned, &stop).await,
                    How::Plain => cluster.submit_plain(process, &planned).await,
                };
                cluster
                    .trace()
                    .note(|| format!("submission {} of {}: {answer:?}", planned.number, planned.id));
                cluster.history().answered(planned.number, answer);
            })
        });
        if let Some(after_ms) = submission.dies_after_ms {
            let cluster = self.clone();
            tokio::spawn(async move {
                sleep(Duration::from_millis(after_ms)).await;
                cluster.kill(process.node);
            });
        }
    }

    async fn submit_staged(&self, process: Process, submission: &Submission, stop: &Stop) -> Answer {
        let reach = self.reach(process);
        let answer = match self.stage(Arc::clone(&reach), submission, stop).await {
            Ok(Submitted::Created) => Answer::Created,
            Ok(Submitted::Before(_)) => Answer::Before,
            Err(error) => failed(&error),
        };
        reach.leave().await;
        answer
    }

    /// As the submitter does it, for one job of a given id.
    async fn stage(
        &self,
        reach: Arc<Reach>,
        submission: &Submission,
        stop: &Stop,
    ) -> anyhow::Result<Submitted> {
        reach.ensure_belonging().await?;
        let Submission {
            number, id, queue, ..
        } = submission;
        let now_ms = u64::try_from(chance::since_1970().as_millis()).unwrap_or(u64::MAX);
        let deadline_ms = submission.deadline_ms.map(|after_ms| now_ms + after_ms);
        let mut staging = Staging::begin(reach, id.clone(), queue.clone(), STAGING_TTL)?
            .with_deadline(deadline_ms)
            .in_group(submission.place.clone());
        self.history().staged(*number, staging.source());
        staging.look_first().await?;
        for tasks in payloads(submission).chunks(PUSH_TASKS) {
            if let Err(error) = staging.push(tasks).await {
                staging.abandon().await;
                return Err(error);
            }
        }
        staging.commit(stop).await
    }

    /// As a careful script with two client libraries does it: waits for an earlier job of that id to be gone, and makes
    /// one attempt at each step.
    async fn submit_plain(&self, process: Process, submission: &Submission) -> Answer {
        let Submission {
            number, id, queue, ..
        } = submission;
        if self.is_list_dirty(submission) {
            return Answer::Failed("another program may have left tasks in the list of this name".to_owned());
        }
        let reach = self.reach(process);
        let is_free = async {
            let mut was_used = self.was_submitted(submission);
            while reach
                .zookeeper(|ledger| async move { ledger.read_fresh(id).await })
                .await?
                != JobRead::Gone
            {
                was_used = true;
                sleep(Duration::from_millis(100)).await;
            }
            if was_used {
                // What somebody still has to say of the earlier job must not reach this one.
                sleep(self.longest_silence()).await;
            }
            anyhow::Ok(())
        };
        match timeout(PLAIN_PATIENCE, is_free).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return failed(&error),
            Err(_) => return Answer::Failed("the id is in use".to_owned()),
        }
        let tasks = payloads(submission);
        let count = tasks.len() as u64;
        self.history().staged(*number, Source::Plain);
        if count > 0
            && let Err(error) = self.redis().push_plain(process, id, tasks).await
        {
            return Answer::Failed(error.to_string());
        }
        let data = &JobData::submitted(count, queue.clone(), Source::Plain);
        let created = reach
            .zookeeper(|ledger| async move { ledger.create(id, data).await })
            .await;
        reach.leave().await;
        match created {
            Ok(Created::Yes(_)) => Answer::Created,
            // After an unclear reply nobody can tell whose it is.
            Ok(other) => Answer::Unclear(format!("{other:?}")),
            Err(error) => Answer::Unclear(format!("{error:#}")),
        }
    }

    /// Whether there was an earlier submission of that id.
    fn was_submitted(&self, submission: &Submission) -> bool {
        let attempts = self.history().attempts();
        let mut others = attempts.iter().map(|other| &other.submission);
        others.any(|other| other.number != submission.number && other.id == submission.id)
    }

    /// After so long a session whose client is not heard of is over, and all that it sent refused.
    /// So late can a message be of somebody who is gone.
    pub fn longest_silence(&self) -> Duration {
        Duration::from_millis(self.plan().settings.session_timeout_ms + LATE_MS)
    }

    /// Whether an earlier plain submission of that id may have pushed without creating its job, which nobody could tell.
    fn is_list_dirty(&self, submission: &Submission) -> bool {
        let attempts = self.history().attempts();
        let mut others = attempts.iter().filter(|other| {
            other.submission.number != submission.number && other.submission.id == submission.id
        });
        others.any(|other| other.submission.how == How::Plain && other.answer != Some(Answer::Created))
    }

    /// Lets the operator cancel a job, if it is there.
    pub async fn cancel(&self, id: JobId) {
        let cluster = self.clone();
        self.history().cancels(&id);
        self.operate(move |process| Box::pin(async move { cluster.cancel_as(process, &id).await }))
            .await;
    }

    async fn cancel_as(&self, process: Process, id: &JobId) {
        let reach = self.reach(process);
        let cancelled = reach
            .zookeeper(|ledger| async move {
                loop {
                    let Some(entry) = ledger.read_fresh(id).await?.into_job() else {
                        return Ok(false);
                    };
                    if matches!(entry.data.state, JobState::Uploaded | JobState::Cancelled) {
                        return Ok(false);
                    }
                    let data = entry.data.in_state(JobState::Cancelled);
                    if ledger.set(id, &entry, &data).await? == Written::Yes {
                        return Ok(true);
                    }
                }
            })
            .await;
        self.trace().note(|| format!("cancel of {id}: {cancelled:?}"));
        reach.leave().await;
    }
}

impl Cluster {
    /// Lets the operator pause a queue, or resume it, and tells whether that was heard of.
    pub async fn switch(&self, queue: &QueueName, paused: bool) -> bool {
        let (told, heard) = oneshot::channel();
        let (cluster, queue) = (self.clone(), queue.clone());
        self.operate(move |process| {
            Box::pin(async move {
                let done = cluster.switch_as(process, &queue, paused).await;
                // Whoever asked waits, or the run is over.
                let _ = told.send(done);
            })
        })
        .await;
        heard.await.unwrap_or(false)
    }

    async fn switch_as(&self, process: Process, queue: &QueueName, paused: bool) -> bool {
        let reach = self.reach(process);
        let switched = reach
            .zookeeper(|ledger| async move {
                let session = ledger.session();
                session.switch(queue, |switches| switches.paused = paused).await
            })
            .await;
        self.trace()
            .note(|| format!("queue {queue} paused={paused}: {switched:?}"));
        reach.leave().await;
        switched.is_ok()
    }
}

/// What a submitter makes of an error: it says so when it is not certain.
fn failed(error: &anyhow::Error) -> Answer {
    let text = format!("{error:#}");
    match text.contains(" may ") {
        true => Answer::Unclear(text),
        false => Answer::Failed(text),
    }
}

fn payloads(submission: &Submission) -> Vec<Vec<u8>> {
    let number = submission.number;
    (0..)
        .zip(&submission.tasks)
        .map(|(index, kind)| {
            let payload = Payload {
                submission: number,
                index,
                kind: *kind,
            };
            payload.to_string().into_bytes()
        })
        .collect()
}
