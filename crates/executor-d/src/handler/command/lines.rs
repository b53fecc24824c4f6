//! One process for several tasks: a line each, in and out.
//!
//! Outcomes are recorded when the process has ended: one that writes more lines than it was given has said something
//! else in between, and nobody knows which line belongs to which task. When it ends too early, or is ended, the lines that
//! it wrote count. The first task without one is to blame, and those behind it go to the next process.

use std::{collections::VecDeque, num::NonZeroUsize};

use tokio::time::Instant;

use super::Program;
use crate::handler::{
    Failure, Task, Tasks, Verdict,
    process::{End, Finished, Input, Launched, Lines, Output, Patience, TooMuch},
};

/// Values of so many bytes are recorded before the process has ended: they must not pile up.
const HELD_MAX: usize = 16 << 20;

impl Program {
    /// Runs the tasks, so many in one process.
    pub(super) async fn run_lines(&self, tasks: &Tasks) {
        let most = if tasks.alone() {
            NonZeroUsize::MIN
        } else {
            self.tasks_per_process
        };
        let mut begun = VecDeque::new();
        loop {
            if begun.is_empty() {
                tasks.room().await;
                begin(tasks, &mut begun, 1);
            }
            let Some(first) = begun.front() else { return };
            match self.start(tasks.job(), first, Input::Pipe) {
                Ok(program) => {
                    begin(tasks, &mut begun, most.get());
                    self.see_through(program, tasks, &mut begun).await;
                }
                Err(failure) => record_all(tasks, &mut begun, &failure),
            }
        }
    }

    /// Lets a process answer the tasks that were begun. Leaves those that it is not to blame for not having answered.
    async fn see_through(&self, program: Launched, tasks: &Tasks, begun: &mut VecDeque<Task>) {
        let bounds = self.spawner.bounds();
        let patience = Patience::new(self.timeout);
        let input: Vec<u8> = begun
            .iter()
            .flat_map(|task| [task.payload(), b"\n"])
            .flatten()
            .copied()
            .collect();
        let mut answers = Answers {
            lines: Lines::new(bounds.output_max),
            tasks,
            begun,
            patience: &patience,
            since: Instant::now(),
            held: Vec::new(),
            held_bytes: 0,
            are_too_many: false,
        };
        let Finished { end, stderr } = program
            .with_input(input)
            .finish(bounds, &patience, &mut answers)
            .await;
        let is_success = matches!(&end, End::Exited(status) if self.judge(*status).is_none());
        answers.conclude(is_success, &stderr);
        if begun.is_empty() {
            return;
        }
        if let End::NotStarted(why) = end {
            let failure = self.not_started(tasks.job(), why);
            return record_all(tasks, begun, &failure);
        }
        let failure = self.failure(tasks.job(), end);
        let failure = failure.unwrap_or_else(|| "the program ended without a line for this task".into());
        if let Some(culprit) = begun.pop_front() {
            tasks.record(culprit, Err(failure.with_stderr(stderr)));
        }
    }
}

/// Begins tasks until there are `most`, if there are so many. Those that are no line fail.
fn begin(tasks: &Tasks, begun: &mut VecDeque<Task>, most: usize) {
    while begun.len() < most {
        let Some(task) = tasks.next() else { return };
        if task.payload().contains(&b'\n') {
            let failure = Failure::new(
                "the payload has more than one line; with command.tasks_per_process over 1 each task is a line",
            );
            tasks.record(task, Err(failure.is_final()));
        } else {
            begun.push_back(task);
        }
    }
}

fn record_all(tasks: &Tasks, begun: &mut VecDeque<Task>, failure: &Failure) {
    for task in begun.drain(..) {
        tasks.record(task, Err(failure.clone()));
    }
}

/// The lines that a process wrote.
struct Answers<'a> {
    lines: Lines,
    tasks: &'a Tasks,
    /// Tasks without a line.
    begun: &'a mut VecDeque<Task>,
    patience: &'a Patience,
    /// When the last line came.
    since: Instant,
    /// Those with one. They begin when the one before has its line, and end when they have theirs.
    held: Vec<(Task, Instant, Vec<u8>)>,
    held_bytes: usize,
    are_too_many: bool,
}

impl Answers<'_> {
    /// Takes the line of the next task.
    fn take(&mut self, line: Vec<u8>) -> Result<(), TooMuch> {
        let Some(mut task) = self.begun.pop_front() else {
            self.are_too_many = true;
            return Err(TooMuch);
        };
        let now = Instant::now();
        task.begun = std::mem::replace(&mut self.since, now);
        self.held_bytes += line.len();
        self.held.push((task, now, line));
        Ok(())
    }

    fn record(&mut self, verdict: impl Fn(Vec<u8>) -> Verdict) {
        let now = Instant::now();
        self.held_bytes = 0;
        for (mut task, ended, line) in self.held.drain(..) {
            // What it waited here is none of its time.
            task.begun += now - ended;
            self.tasks.record(task, verdict(line));
        }
    }

    /// The process has ended.
    fn conclude(mut self, is_success: bool, stderr: &[u8]) {
        let rest = self.lines.rest();
        if is_success && !rest.is_empty() {
            let rest = rest.to_vec();
            let _ = self.take(rest);
        }
        if self.are_too_many {
            let failure =
                Failure::new("the program wrote more lines than it was given").with_stderr(stderr.to_vec());
            self.record(|_| Err(failure.clone()));
        } else {
            self.record(|line| Ok(line.into()));
        }
    }
}

impl Output for Answers<'_> {
    fn space(&mut self) -> &mut Vec<u8> {
        self.lines.space()
    }

    fn grew(&mut self) -> Result<(), TooMuch> {
        while let Some(line) = self.lines.next().map_err(|_| TooMuch)? {
            let line = line.to_vec();
            self.patience.renew();
            self.take(line)?;
        }
        if self.held_bytes > HELD_MAX {
            self.record(|line| Ok(line.into()));
        }
        Ok(())
    }
}
