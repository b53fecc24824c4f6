//! A stage whose watchers let jobs follow jobs.

use std::fmt::Write as _;

use anyhow::ensure;
use distjob_core::{JobEntry, JobId, JobState};
use harness::{Process, Program, eventually};
use redis::AsyncCommands as _;

use crate::SOON;
use crate::stage::{Job, QUEUE, Stage};

/// A stage, and what follows the jobs of its queue.
pub(crate) struct Plot {
    pub(crate) stage: Stage,
    config: String,
}

impl Plot {
    /// A stage with these steps: each its name, and its lines in the configuration.
    pub(crate) async fn new(steps: &[(&str, &str)]) -> Self {
        Self::on(Stage::new().await, steps)
    }

    pub(crate) fn on(stage: Stage, steps: &[(&str, &str)]) -> Self {
        let mut config = String::new();
        for (name, lines) in steps {
            writeln!(config, "[queues.{QUEUE}.then.{name}]\n{lines}").unwrap();
        }
        Self { stage, config }
    }

    /// A watcher with these steps.
    pub(crate) fn program(&self) -> Program {
        self.stage.program(&self.config)
    }

    /// Starts it, and returns when it has registered.
    pub(crate) async fn watcher(&self, name: &str) -> Process {
        let started = self.stage.world.start_member(self.program(), name);
        started.await.unwrap()
    }

    /// Starts one that stops or kills itself at a named point, as in `uploaded=kill`.
    pub(crate) async fn watcher_with_point(&self, name: &str, point: &str) -> Process {
        let program = self.program().env("DISTJOB_TEST_POINTS", point);
        self.stage.world.start_member(program, name).await.unwrap()
    }

    /// The znode of a job, when it is there.
    pub(crate) async fn entry(&self, id: &JobId) -> Option<JobEntry> {
        self.stage.ledger.read_fresh(id).await.unwrap().into_job()
    }

    /// The job that follows `job` by `step`, open, when the other is gone. It waits for an executor that never comes.
    pub(crate) async fn follow_up(&self, job: &Job, step: &str) -> Option<Job> {
        self.stage.gone(job).await;
        let id = job.id.follow_up(job.entry.life, step);
        let entry = self.entry(&id).await?;
        assert_eq!(entry.data.state, JobState::Submitted);
        // Whoever deletes a job has opened what follows it before.
        let mut redis = self.stage.world.redis().await.unwrap();
        let is_open: bool = redis
            .exists(self.stage.store.keys().job(&id).tasks)
            .await
            .unwrap();
        assert!(is_open, "{id} is there, and nobody has opened it");
        Some(self.stage.opened(&id).await)
    }

    /// Checks that `job` was delivered, and that by `step` exactly these tasks follow.
    pub(crate) async fn comes_true(&self, job: &Job, step: &str, tasks: &[Vec<u8>]) {
        let follow_up = self.follow_up(job, step).await.expect("something follows");
        assert_eq!(follow_up.tasks, tasks);
        assert_eq!(follow_up.entry.data.ties.parent.as_ref(), Some(&job.id));
        let lines = self
            .stage
            .world
            .delivered_whole(QUEUE, job.id.as_str(), &job.tasks)
            .unwrap();
        assert_eq!(lines.len(), job.tasks.len());
        eventually("no lock is left", SOON, async || {
            let locks = self.stage.world.locks().await?;
            ensure!(locks.is_empty(), "{locks:?}");
            Ok(())
        })
        .await;
        self.finish(follow_up).await;
    }

    /// Executes a job that follows another, and waits until it is gone.
    pub(crate) async fn finish(&self, mut job: Job) {
        self.stage.execute(&job, job.tasks.len()).await;
        self.stage.set(&mut job, JobState::Processed).await;
        self.stage.gone(&job).await;
    }
}

/// The values of the tasks of a job that have one.
pub(crate) fn values(job: &Job) -> Vec<Vec<u8>> {
    let outcomes = job
        .tasks
        .iter()
        .enumerate()
        .map(|(index, task)| Job::outcome(index, task));
    outcomes.filter_map(Result::ok).collect()
}

/// The errors of the tasks of a job that failed.
pub(crate) fn errors(job: &Job) -> Vec<Vec<u8>> {
    let outcomes = job
        .tasks
        .iter()
        .enumerate()
        .map(|(index, task)| Job::outcome(index, task));
    outcomes.filter_map(Result::err).map(String::into_bytes).collect()
}
