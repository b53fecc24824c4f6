//! The processes of one queue: idle ones are kept, broken ones replaced.
//!
//! A program that cannot be started, or ends before it has answered anything, must neither spin nor use up the attempts
//! of one task after the other. So the number of such failures since the last answer makes the next process wait: it is
//! started, and is given nothing for a time that doubles with each failure. One that outlives this *probation* has come
//! so far as to wait for a request, and what happens to it then is that task's fault. One at a time is on probation.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::FutureExt as _;
use tokio::time::{sleep, timeout};

use super::{
    process::{Break, Event, Process},
    settings::WorkerSettings,
};
use crate::handler::process::{Input, StartError, Starts};

/// The version of the lines, told to each process.
const PROTOCOL: &str = "1";

/// All processes of one queue that are not at work.
#[derive(Debug)]
pub(super) struct Pool {
    settings: Arc<WorkerSettings>,
    /// The last one to come is the first to go.
    idle: Mutex<Vec<Process>>,
    starts: Starts,
    probation: tokio::sync::Mutex<()>,
}

/// A process to be used.
#[derive(Debug)]
pub(super) struct Taken {
    /// It.
    pub(super) process: Process,
    /// Whether it is known to wait for requests: what happens to it is a task's fault.
    pub(super) is_proven: bool,
}

impl Pool {
    /// Without a process at first.
    pub(super) fn new(settings: WorkerSettings, starts: Starts) -> Self {
        Self {
            settings: Arc::new(settings),
            idle: Mutex::default(),
            starts,
            probation: tokio::sync::Mutex::default(),
        }
    }

    /// How they are used.
    pub(super) fn settings(&self) -> &WorkerSettings {
        &self.settings
    }

    /// A process that nobody else uses. Waits while the program cannot be started.
    ///
    /// # Cancel safety
    /// A process on probation is ended.
    pub(super) async fn take(&self) -> Taken {
        loop {
            if let Some(process) = self.take_idle() {
                return Taken {
                    process,
                    is_proven: true,
                };
            }
            if self.starts.pause().is_none() {
                match self.start() {
                    Ok(process) => {
                        return Taken {
                            process,
                            is_proven: false,
                        };
                    }
                    Err(error) => self.failed(&error.to_string()),
                }
            }
            let _turn = self.probation.lock().await;
            // Meanwhile a process may have been of use.
            let Some(pause) = self.starts.pause() else {
                continue;
            };
            if let Some(process) = self.try_out(pause).await {
                return Taken {
                    process,
                    is_proven: true,
                };
            }
        }
    }

    /// Takes back a process that may be used again.
    pub(super) fn put_back(&self, process: Process) {
        if process.is_used_up() {
            process.dismiss();
        } else {
            self.idle().push(process);
        }
    }

    /// A process gave an answer.
    pub(super) fn succeeded(&self) {
        self.starts.succeeded();
    }

    /// A process was of no use, for this reason.
    pub(super) fn failed(&self, why: &str) {
        self.starts.failed();
        let failures = self.starts.failures();
        let WorkerSettings { queue, .. } = &*self.settings;
        tracing::warn!(%queue, failures, error = why, "failed to get an answer from a worker");
    }

    /// How many processes in turn were of no use.
    #[cfg(test)]
    pub(super) fn failures(&self) -> i64 {
        self.starts.failures()
    }

    /// The process that was used last and is still of use.
    fn take_idle(&self) -> Option<Process> {
        loop {
            let mut process = self.idle().pop()?;
            match process.next().now_or_never() {
                None => return Some(process),
                // It ended, which it may, or said something that nobody asked for.
                Some(event) => {
                    let queue = &self.settings.queue;
                    tracing::debug!(%queue, ?event, "an idle worker is of no use any more");
                }
            }
        }
    }

    fn start(&self) -> Result<Process, StartError> {
        let settings = &self.settings;
        let variables = [
            ("DISTJOB_WORKER_PROTOCOL", PROTOCOL.into()),
            ("DISTJOB_QUEUE", settings.queue.as_str().into()),
            ("DISTJOB_IN_FLIGHT", settings.in_flight.to_string().into()),
        ];
        let child = settings.spawner.start(&settings.argv, &variables, Input::Pipe)?;
        Ok(Process::new(child, Arc::clone(settings)))
    }

    /// Starts a process and lets it wait. `None` when it was of no use; then so much time has passed nevertheless.
    async fn try_out(&self, pause: Duration) -> Option<Process> {
        let mut process = match self.start() {
            Ok(process) => process,
            Err(error) => {
                self.failed(&error.to_string());
                sleep(pause).await;
                return None;
            }
        };
        let ended = sleep(pause);
        match timeout(pause, process.next()).await {
            Err(_) => Some(process),
            Ok(event) => {
                let broken = match event {
                    Event::Broken(broken) => broken,
                    // Nothing was asked.
                    Event::Answered(..) => Break::Ended,
                };
                let remains = process.bury(broken).await;
                self.failed(&remains.failure.message);
                ended.await;
                None
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Process>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let idle = self.idle.get_mut().unwrap_or_else(PoisonError::into_inner);
        for process in idle.drain(..) {
            process.dismiss();
        }
    }
}
