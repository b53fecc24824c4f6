//! One submission, or one cancellation, from its record to its answer.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context as _, Result};
use harness::{Process, Program};
use rustix::process::Signal;

use super::{Manner, Mischief, POINTS, Workload, answer_of, lock};
use crate::expect::Expected;
use crate::history::{Answer, Event, Exit, How, Role};

/// How long a submitter waits for a store: longer than most faults last, so that it sees their end.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a submitter may take beyond all of its waiting before it counts as one that hangs.
const ENDS_WITHIN: Duration = Duration::from_secs(90);
/// Between two attempts to wake a submitter that stops itself at a point of its own choice.
const WAKE_EVERY: Duration = Duration::from_millis(500);

impl Workload {
    /// Submits a job and records what was told.
    pub(super) async fn submit(&self, id: &str, count: u64, manner: Manner) -> Result<Answer> {
        let submission = self.number();
        let (how, by) = match manner {
            Manner::Plain => (How::Plain, "rig".to_owned()),
            Manner::Once { host } => (How::Once, format!("submitter-{host}")),
            Manner::Again { host } => (How::Resubmission, format!("submitter-{host}")),
            Manner::Member { host, .. } => (How::Once, format!("submitter-{host}")),
        };
        let (host, group) = match manner {
            Manner::Member { host, group, is_last } => (host, Some((group_name(group), is_last))),
            Manner::Once { host } | Manner::Again { host } => (host, None),
            Manner::Plain => (0, None),
        };
        lock(&self.counts).insert(id.to_owned(), count);
        let job =
            Expected::new(self.seed, id, count).with_context(|| format!("no flavour has the id {id}"))?;
        let (id_, queue) = (id.to_owned(), job.queue().to_owned());
        self.recorder.record(Event::Submitting {
            submission,
            id: id_,
            queue,
            count,
            by,
            how,
            group: group.as_ref().map(|(name, _)| name.clone()),
        });
        let answer = match manner {
            Manner::Plain => self.submit_plainly(id, &job).await,
            Manner::Once { .. } | Manner::Again { .. } | Manner::Member { .. } => {
                self.submit_once(submission, id, &job, (host, group)).await?
            }
        };
        self.recorder.record(Event::Answered {
            submission,
            id: id.to_owned(),
            answer: answer.clone(),
        });
        Ok(answer)
    }

    async fn submit_plainly(&self, id: &str, job: &Expected) -> Answer {
        let payloads: Vec<_> = job.payloads().collect();
        let plain = self.stores.submit_plainly(id, job.queue(), &payloads).await;
        if plain.leaves_list {
            lock(&self.loose_lists).push(id.to_owned());
        }
        plain.answer
    }

    /// From a host, as a member of a group, and as its last one, if so.
    async fn submit_once(
        &self,
        submission: u64,
        id: &str,
        job: &Expected,
        (host, group): (u32, Option<(String, bool)>),
    ) -> Result<Answer> {
        let name = format!("submitter-{host}-{submission}");
        let tasks = self.dir.join(format!("{name}.tasks"));
        let lines: String = job.payloads().map(|payload| payload + "\n").collect();
        fs::write(&tasks, lines).with_context(|| format!("write {}", tasks.display()))?;
        let patience = format!("{}s", PATIENCE.as_secs());
        let mut program = self.cluster.submitter(&format!("submitter-{host}")).await?;
        let mischief = lock(&self.mischief).get(&host).copied();
        if let Some(mischief) = mischief {
            let point = POINTS[usize::try_from(submission).unwrap_or(0) % POINTS.len()];
            let what = if mischief == Mischief::Kill {
                "kill"
            } else {
                "stop"
            };
            program = program.env("DISTJOB_TEST_POINTS", format!("{point}={what}"));
        }
        let program = program
            .args(["once", "--id", id, "--queue", job.queue(), "--timeout", &patience])
            .arg(&tasks);
        let program = match &group {
            Some((name, true)) => program.args(["--group", name, "--last"]),
            Some((name, false)) => program.args(["--group", name]),
            None => program,
        };
        let (process, status) = self.to_its_end(program, &name, Role::Submitter, mischief).await?;
        let answer = answer_of(id, status, &process.stdout().lines(), &process.stderr().lines());
        if matches!(answer, Answer::Acknowledged | Answer::Before) {
            self.remove_files(&name);
        }
        Ok(answer)
    }

    /// Cancels a job as an operator does; what came of it does not matter to anyone.
    ///
    /// # Errors
    /// When the operator's command could not be run.
    pub(crate) async fn cancel(&self, id: &str) -> Result<()> {
        self.recorder.record(Event::Cancelling { id: id.to_owned() });
        self.operate(&["cancel", id]).await.map(drop)
    }

    /// Runs `distjobctl` with these arguments to its end, and answers its exit status.
    ///
    /// # Errors
    /// When it could not be run, or does not end.
    pub(crate) async fn operate(&self, args: &[&str]) -> Result<ExitStatus> {
        let name = format!("distjobctl-{}", self.number());
        let program = self.cluster.operator().await?.args(args);
        let (_, status) = self.to_its_end(program, &name, Role::Operator, None).await?;
        if status.success() {
            self.remove_files(&name);
        }
        Ok(status)
    }

    /// Runs a program to its end, which it must find by itself.
    async fn to_its_end(
        &self,
        program: Program,
        name: &str,
        role: Role,
        mischief: Option<Mischief>,
    ) -> Result<(Process, ExitStatus)> {
        let process = program.start(name, &self.dir)?;
        let (name, pid) = (name.to_owned(), process.pid());
        self.recorder.record(Event::ProcessStarted {
            name: name.clone(),
            role,
            pid,
            incarnation: 0,
        });
        if mischief == Some(Mischief::Kill) {
            self.recorder.record(Event::ProcessKilled { name: name.clone() });
        }
        let status = match mischief {
            Some(Mischief::Freeze(time)) => {
                tokio::select! {
                    status = process.wait(ENDS_WITHIN + time) => status,
                    never = wake(&process, time) => match never {},
                }
            }
            _ => process.wait(ENDS_WITHIN).await,
        };
        let status = status.with_context(|| format!("{name} never ended"))?;
        self.recorder.record(Event::ProcessExited {
            name,
            exit: exit_of(status),
        });
        Ok((process, status))
    }

    fn remove_files(&self, name: &str) {
        for ending in ["tasks", "toml", "out", "err"] {
            // Not all of them were made.
            let _ = fs::remove_file(self.dir.join(format!("{name}.{ending}")));
        }
    }
}

/// The name of the group of that number.
fn group_name(number: u64) -> String {
    format!("group-{number:06}")
}

/// Wakes a process after `time`, and again and again: nobody knows when it stops itself.
async fn wake(process: &Process, time: Duration) -> std::convert::Infallible {
    tokio::time::sleep(time).await;
    loop {
        // It may have ended.
        let _ = process.signal(Signal::CONT);
        tokio::time::sleep(WAKE_EVERY).await;
    }
}

/// How a process ended, as a history has it.
#[must_use]
pub(crate) fn exit_of(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Status(code),
        (None, signal) => Exit::Signal(signal.unwrap_or(0)),
    }
}
