//! What the configuration says of a worker, and how its ends are put into words.

use std::{
    ffi::OsString,
    num::{NonZeroU64, NonZeroUsize},
    os::unix::process::ExitStatusExt as _,
    process::ExitStatus,
    time::Duration,
};

use distjob_core::QueueName;

use super::process::Break;
use crate::{
    handler::{Failure, process::Spawner},
    launcher,
};

/// How the processes of one queue are started and used.
#[derive(Debug)]
pub(super) struct WorkerSettings {
    /// The queue.
    pub(super) queue: QueueName,
    /// Starts them.
    pub(super) spawner: Spawner,
    /// The program and its arguments.
    pub(super) argv: Vec<OsString>,
    /// Most requests that a process has at once.
    pub(super) in_flight: NonZeroUsize,
    /// Most requests that a process gets in its life.
    pub(super) tasks_per_process: Option<NonZeroU64>,
    /// How long a task may take.
    pub(super) timeout: Option<Duration>,
}

impl WorkerSettings {
    /// What the task that is to blame is told. `status` of a process that ended by itself; `is_torn`: in the middle of
    /// a line.
    pub(super) fn failure(&self, broken: &Break, status: Option<ExitStatus>, is_torn: bool) -> Failure {
        let middle = if is_torn { ", in the middle of a line" } else { "" };
        match (broken, status) {
            (Break::TimedOut(_), _) => Failure::timed_out(self.timeout.unwrap_or_default()),
            (Break::Garbage(garbage), _) => {
                Failure::new(format!("the worker wrote garbage: {}", garbage.why))
            }
            (Break::TooLong, _) => {
                let most = self.spawner.bounds().output_max;
                Failure::new(format!(
                    "the worker wrote a line of more than {most} bytes (bounds.output_max)"
                ))
                .is_final()
            }
            (Break::Ended, None) => Failure::new(format!("the worker closed its input or output{middle}")),
            (Break::Ended, Some(status)) => {
                let limit = launcher::limit_reached(&self.spawner.bounds().orders, status);
                let how = limit.unwrap_or_else(|| described(status));
                Failure::new(format!("the worker ended{middle}: {how}"))
            }
        }
    }
}

fn described(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        _ => status.to_string(),
    }
}
