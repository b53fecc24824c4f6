//! One process for each task.

use super::Program;
use crate::handler::{
    Failure, Job, Task, Tasks, Verdict,
    process::{End, Finished, Input, Patience, Whole},
};

impl Program {
    /// Runs the tasks one after the other.
    pub(super) async fn run_each(&self, tasks: &Tasks) {
        loop {
            tasks.room().await;
            let Some(task) = tasks.next() else { return };
            let verdict = self.run_one(tasks.job(), &task).await;
            tasks.record(task, verdict);
        }
    }

    async fn run_one(&self, job: &Job, task: &Task) -> Verdict {
        let input = if self.task_is_argument {
            Input::Empty
        } else {
            Input::Bytes(task.payload())
        };
        let program = self.start(job, task, input)?;
        let bounds = self.spawner.bounds();
        let mut output = Whole::new(bounds.output_max);
        let Finished { end, stderr } = program
            .finish(bounds, &Patience::new(self.timeout), &mut output)
            .await;
        match self.failure(job, end) {
            None => Ok(without_newline(output.into_bytes()).into()),
            Some(failure) => Err(failure.with_stderr(stderr)),
        }
    }

    /// What is wrong with the end of a process, if anything is.
    pub(super) fn failure(&self, job: &Job, end: End) -> Option<Failure> {
        if let End::NotStarted(why) = end {
            return Some(self.not_started(job, why));
        }
        self.starts.succeeded();
        match end {
            End::Exited(status) => self.judge(status),
            End::TimedOut => Some(self.too_long()),
            End::TooMuchOutput => Some(self.too_much()),
            End::OutOfMemory => Some("used more memory than it may (bounds.memory_max)".into()),
            End::NotStarted(why) => Some(why.into()),
            End::Unknown(error) => Some(format!("nobody knows how the program ended: {error}").into()),
        }
    }
}

fn without_newline(mut output: Vec<u8>) -> Vec<u8> {
    if output.ends_with(b"\n") {
        output.pop();
    }
    output
}
