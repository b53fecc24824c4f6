//! The jobs that follow a job, or a group of jobs.
//!
//! ```text
//! read, write the result ── push … push ──► in:then-<fresh> of each follow-up, whose id is that of its step
//! every sink has it ── what follows after such an end? ── push where it is ── still whole?
//! one transaction: uploaded;…;then=<ids>, and each follow-up is created
//! read each, open it ──► drop, delete
//! ```
//!
//! A follow-up's tasks are staged before the job counts as delivered, so the transaction that says so can create it, and
//! it is created once, whoever was at work before. If the tasks have expired until then, as a sink took very long, the job
//! is collected again: nobody creates a job whose tasks are gone.

use std::time::Duration;

use distjob_core::{
    Conclusion, GroupName, JobData, JobId, QueueName, Zxid,
    store::{Open, Slice},
    watcher::{Loss, each_row},
};
use distjob_runtime::{drill, store::JobStore};

use super::{
    Pipeline, Setback, Trouble,
    list::{List, Refusal},
};
use crate::{
    config::{Payload, StepConfig},
    then::{Outcome, task_of},
};

/// What the token of a follow-up's tasks begins with.
const PREFIX: &str = "then-";

/// A follow-up's tasks live at least so long until they are opened, whatever else lives shorter.
const TTL_MIN: Duration = Duration::from_secs(3600);

/// What is followed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scope<'a> {
    /// The job of the pipeline.
    Job,
    /// All jobs of this group, in this life of its name.
    Group(&'a GroupName, Zxid),
}

/// The follow-ups of one attempt.
#[derive(Debug, Default)]
pub(super) struct FollowUps(Vec<FollowUp>);

#[derive(Debug)]
struct FollowUp {
    step: StepConfig,
    queue: QueueName,
    /// Its id, and its tasks.
    list: List,
}

impl FollowUps {
    /// Whether nothing follows.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of which something is in the store.
    fn staged(&self) -> impl Iterator<Item = &FollowUp> {
        self.0.iter().filter(|follow_up| follow_up.list.sent() > 0)
    }

    /// Whether what is read of the job has a part in one of them.
    fn need_rows(&self) -> bool {
        let mut follow_ups = self.0.iter();
        follow_ups.any(|follow_up| follow_up.step.payload != Payload::Archive)
    }

    /// Lets what was staged expire: nothing comes of the attempt, and no transaction has been sent that names it.
    pub(super) async fn forget(&self, store: &JobStore) {
        for FollowUp { list, .. } in &self.0 {
            list.forget(store).await;
        }
    }

    /// Takes the tasks that come of these rows.
    fn take(&mut self, slice: &Slice) -> Result<(), Loss> {
        each_row(slice, |row| {
            for FollowUp { step, list, .. } in &mut self.0 {
                if let Some(task) = task_of(step, &row) {
                    list.add(task);
                }
            }
            Ok(())
        })
    }
}

impl Pipeline {
    /// What the queue's configuration lets follow, still without tasks.
    pub(super) fn follow_ups(&self, scope: Scope<'_>) -> FollowUps {
        if self.is_too_deep() {
            return FollowUps::default();
        }
        let ttl = self.tools.config.watcher.tombstone_ttl.max(TTL_MIN);
        let steps = self.tools.config.steps(&self.entry.data.queue).iter();
        let follow_up = |(name, step): (&String, &StepConfig)| {
            let id = match scope {
                Scope::Job if !step.join => self.id.follow_up(self.entry.life, name),
                Scope::Group(group, life) if step.join => group.joined(life, name),
                Scope::Job | Scope::Group(..) => return None,
            };
            Some(FollowUp {
                queue: step.queue.clone()?,
                step: step.clone(),
                list: List::fresh(id, PREFIX, ttl),
            })
        };
        FollowUps(steps.filter_map(follow_up).collect())
    }

    /// Stages the tasks that come of these rows, as soon as there are enough of them.
    pub(super) async fn stage(&self, follow_ups: &mut FollowUps, slice: &Slice) -> Result<(), Setback> {
        if follow_ups.need_rows() {
            follow_ups.take(slice).map_err(Setback::Loss)?;
            self.stage_due(follow_ups).await?;
        }
        Ok(())
    }

    /// Stages this task of each, as soon as there are enough of them.
    pub(super) async fn add_to_all(&self, follow_ups: &mut FollowUps, task: &[u8]) -> Result<(), Trouble> {
        for FollowUp { list, .. } in &mut follow_ups.0 {
            list.add(task.to_vec());
        }
        self.stage_due(follow_ups).await
    }

    async fn stage_due(&self, follow_ups: &mut FollowUps) -> Result<(), Trouble> {
        for FollowUp { list, .. } in &mut follow_ups.0 {
            if list.is_due() {
                self.send(list).await??;
            }
        }
        Ok(())
    }

    /// Stages what is left to be staged.
    pub(super) async fn stage_rest(&self, follow_ups: &mut FollowUps) -> Result<(), Trouble> {
        for FollowUp { list, .. } in &mut follow_ups.0 {
            self.send(list).await??;
        }
        Ok(())
    }

    /// Lets what was staged live on; whether all of it has until now.
    pub(super) async fn keep_staged(&self, follow_ups: &FollowUps) -> Result<bool, Trouble> {
        for FollowUp { list, .. } in follow_ups.staged() {
            if let Err(refusal) = self.touch(list).await? {
                tracing::info!(job.id = %self.id, follow_up = %list.job, %refusal, "collecting the job again");
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The jobs to be created when this one becomes uploaded, having come to `conclusion`: those that follow such an end
    /// and have a task. The tasks of all of them are staged, and live long enough.
    ///
    /// # Errors
    /// [`Trouble::Expired`] when they are not: collect the job again.
    pub(super) async fn created_with(
        &self,
        follow_ups: &mut FollowUps,
        conclusion: Conclusion,
        outcome: &Outcome,
    ) -> Result<Vec<(JobId, JobData)>, Trouble> {
        let all = std::mem::take(&mut follow_ups.0).into_iter();
        let (following, others) = all.partition(|follow_up| follow_up.step.follows(conclusion));
        follow_ups.0 = following;
        // As much as a copy of the job, which would stay for hours.
        FollowUps(others).forget(self.store()).await;
        for FollowUp { step, list, .. } in &mut follow_ups.0 {
            if step.payload == Payload::Archive && list.sent() == 0 {
                list.add(outcome.to_json(usize::MAX));
                self.send(list).await??;
            }
        }
        self.created(follow_ups).await
    }

    /// The jobs to be created when the group is joined, likewise.
    pub(super) async fn created_with_group(
        &self,
        follow_ups: &FollowUps,
        group: &GroupName,
    ) -> Result<Vec<(JobId, JobData)>, Trouble> {
        let created = self.created(follow_ups).await?.into_iter();
        Ok(created
            .map(|(id, data)| (id, data.joining(group.clone())))
            .collect())
    }

    async fn created(&self, follow_ups: &FollowUps) -> Result<Vec<(JobId, JobData)>, Trouble> {
        let mut created = Vec::new();
        for FollowUp { queue, list, .. } in follow_ups.staged() {
            // No longer than a session ago when the transaction takes effect.
            self.touch(list).await??;
            let data = &self.entry.data;
            let data = data.follow_up(&self.id, list.sent(), queue.clone(), list.token.clone());
            created.push((list.job.clone(), data));
        }
        Ok(created)
    }

    /// Counts and logs what was created, or was not because it would follow too many jobs.
    pub(super) fn tell_of_follow_ups(&self, created: &[(JobId, JobData)]) {
        let JobData { queue, ties, .. } = &self.entry.data;
        for (id, data) in created {
            self.tools.metrics.follow_ups.inc();
            tracing::info!(
                job.id = %id,
                queue = %data.queue,
                parent = %self.id,
                tasks = data.count,
                "follows"
            );
        }
        if self.is_too_deep() && !self.tools.config.steps(queue).is_empty() {
            self.tools.metrics.follow_ups_refused.inc();
            tracing::error!(
                job.id = %self.id,
                %queue,
                depth = ties.depth,
                "nothing follows this job: it follows as many as watcher.depth_max allows"
            );
        }
    }

    /// Opens the jobs that were created with the end of this one, so that they have their tasks before its own go. May be
    /// repeated: one that is gone was opened before.
    pub(super) async fn open_follow_ups(&self, then: &[JobId]) -> Result<(), Trouble> {
        for id in then {
            let Some(entry) = self.tools.ledger.read_fresh(id).await?.into_job() else {
                continue;
            };
            let JobData { count, source, .. } = &entry.data;
            let opened = self
                .patiently(|| self.store().open(id, entry.life, *count, source))
                .await?;
            if let Open::Missing(length) = opened {
                tracing::error!(
                    job.id = %id,
                    parent = %self.id,
                    tasks = count,
                    length,
                    "the tasks of a follow-up were gone before anybody opened it"
                );
            }
            drill::point("follow-up-opened");
        }
        Ok(())
    }

    /// Whether what follows this job would follow too many.
    fn is_too_deep(&self) -> bool {
        self.entry.data.ties.depth >= self.tools.config.watcher.depth_max
    }
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Cut => Self::Expired,
            Refusal::Rejected(error) => Self::Store(error),
        }
    }
}
