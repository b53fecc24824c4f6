//! Runs a program for each task, or one for several.
//!
//! With one task a process, the payload is an argument, where `{task}` stands in `argv`, and else the standard input.
//! The value is what the program writes to its standard output, without the newline at its end, if there is one: so
//! `echo` and `printf` mean the same. With several tasks a process, each is one line of the standard input, and each value
//! one line of the standard output, in the same order.
//!
//! Nothing is interpreted by a shell. Besides what the queue's bounds let through, the environment has `DISTJOB_JOB`,
//! `DISTJOB_INDEX`, `DISTJOB_ATTEMPT`, `DISTJOB_QUEUE` and `DISTJOB_KEY`, the idempotency key; with several tasks a
//! process, only the job and the queue.
//!
//! A program that cannot be started is no task's fault: its tasks are given back, and do not count that as an attempt, and
//! the queue rests here, for longer each time, so that a machine where something is missing does not spoil a job that
//! others could do, nor keep a slot from other queues.

mod lines;
mod run;
mod words;

#[cfg(test)]
mod tests;

use std::{ffi::OsString, num::NonZeroUsize, sync::Arc, time::Duration};

use futures::{FutureExt as _, future::BoxFuture};
use prometheus_client::metrics::gauge::Gauge;

use super::{
    Failure, Handler, Job, Retry, Task, Tasks,
    process::{Input, Launched, Spawner, StartError, Starts},
};
use crate::config::{Argument, Placeholder, QueueConfig};

/// Runs a program for each task, or one for several.
#[derive(Debug)]
pub(crate) struct Command(Arc<Program>);

/// The program of a queue, and what is expected of it.
#[derive(Debug)]
struct Program {
    spawner: Spawner,
    argv: Vec<Argument>,
    /// Whether the payload is an argument.
    task_is_argument: bool,
    tasks_per_process: NonZeroUsize,
    success: Vec<u8>,
    final_statuses: Vec<u8>,
    /// How long a task may take.
    timeout: Option<Duration>,
    starts: Starts,
}

impl Command {
    /// For a queue with this configuration, whose processes `spawner` starts; `failures` tells how often in turn it could not.
    pub(crate) fn new(spawner: Spawner, config: &QueueConfig, failures: Gauge) -> Self {
        let command = &config.command;
        let at_once = usize::try_from(command.tasks_per_process).unwrap_or(usize::MAX);
        Self(Arc::new(Program {
            spawner,
            argv: command.argv.clone(),
            task_is_argument: command
                .argv
                .iter()
                .any(|argument| argument.has(Placeholder::Task)),
            tasks_per_process: NonZeroUsize::new(at_once).unwrap_or(NonZeroUsize::MIN),
            success: command.success.clone(),
            final_statuses: command.final_statuses.clone(),
            timeout: config.timeout(),
            starts: Starts::new(failures),
        }))
    }
}

impl Handler for Command {
    fn run(&self, tasks: Tasks) -> BoxFuture<'static, ()> {
        let program = Arc::clone(&self.0);
        async move {
            if program.tasks_per_process.get() == 1 {
                program.run_each(&tasks).await;
            } else {
                program.run_lines(&tasks).await;
            }
        }
        .boxed()
    }
}

impl Program {
    /// Starts the program for a task, or with it as the first of several.
    ///
    /// When that fails it is no task's fault, but of one with an argument that cannot be.
    fn start(&self, job: &Job, task: &Task, input: Input<'_>) -> Result<Launched, Failure> {
        let key = job.idempotency_key(task.index);
        let argv = self.arguments(job, task, &key);
        let launched = self
            .spawner
            .launch(&argv, &self.variables(job, task, &key), input);
        match launched {
            Ok(launched) => Ok(launched),
            Err(error @ StartError::Arguments(_)) => Err(Failure::new(error.to_string()).is_final()),
            Err(error @ StartError::Program { .. }) => Err(self.not_started(job, error.to_string())),
        }
    }

    /// It could not be started: the queue rests for a while, and longer each time.
    fn not_started(&self, job: &Job, why: String) -> Failure {
        let pause = self.starts.failed();
        tracing::error!(queue = %job.queue, pause_ms = pause.as_millis(), why, "the program of a queue cannot be started");
        Failure::new(why).retry(Retry::Elsewhere(pause))
    }

    fn has_several(&self) -> bool {
        self.tasks_per_process.get() > 1
    }

    fn variables(&self, job: &Job, task: &Task, key: &str) -> Vec<(&'static str, OsString)> {
        let mut variables = vec![
            ("DISTJOB_JOB", job.id.as_str().into()),
            ("DISTJOB_QUEUE", job.queue.as_str().into()),
        ];
        if !self.has_several() {
            variables.extend([
                ("DISTJOB_INDEX", task.index.to_string().into()),
                ("DISTJOB_ATTEMPT", task.attempt.to_string().into()),
                ("DISTJOB_KEY", key.into()),
            ]);
        }
        variables
    }
}
