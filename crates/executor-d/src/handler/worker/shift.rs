//! The tasks of one lease, run by one process after the other.

use futures::FutureExt as _;
use tokio::select;

use super::{
    pool::{Pool, Taken},
    process::{Break, Event, Process, Remains},
};
use crate::handler::{Retry, Tasks};

/// What runs the tasks of one lease.
#[derive(Debug)]
pub(super) struct Shift<'a> {
    pool: &'a Pool,
    tasks: Tasks,
    /// Most requests at once.
    at_once: usize,
}

impl<'a> Shift<'a> {
    pub(super) fn new(pool: &'a Pool, tasks: Tasks) -> Self {
        let at_once = match tasks.alone() {
            true => 1,
            false => pool.settings().in_flight.get(),
        };
        Self { pool, tasks, at_once }
    }

    /// Runs all of them.
    ///
    /// # Cancel safety
    /// Dropping the future ends the process, unless it is idle.
    pub(super) async fn run(&self) {
        while self.tasks.left() > 0 {
            let taken = select! {
                biased;
                taken = self.pool.take() => taken,
                // While the program cannot be started, others may be better off with these tasks.
                () = self.tasks.none_left() => return,
            };
            self.work(taken).await;
        }
    }

    /// Works with one process until that, or the tasks, come to an end.
    async fn work(&self, taken: Taken) {
        let mut desk = Desk {
            pool: self.pool,
            process: Some(taken.process),
        };
        let Some(process) = &mut desk.process else {
            return;
        };
        let broken = loop {
            let wants_room = self.fill(process);
            if process.in_flight() == 0 && !wants_room {
                return;
            }
            let event = select! {
                biased;
                event = process.next() => event,
                () = self.tasks.room(), if wants_room => continue,
            };
            match event {
                Event::Answered(task, verdict) => {
                    self.pool.succeeded();
                    self.tasks.record(task, verdict);
                }
                Event::Broken(broken) => break broken,
            }
        };
        if let Some(process) = desk.process.take() {
            self.replace(process, broken, taken.is_proven).await;
        }
    }

    /// Asks for as many tasks as may be under way. Whether nothing but room for outcomes is missing for more.
    fn fill(&self, process: &mut Process) -> bool {
        while process.in_flight() < self.at_once && !process.is_used_up() && self.tasks.left() > 0 {
            if self.tasks.room().now_or_never().is_none() {
                return true;
            }
            let Some(task) = self.tasks.next() else {
                return false;
            };
            process.ask(self.tasks.job(), task);
        }
        false
    }

    /// Says what becomes of the tasks of a process that is of no use any more.
    async fn replace(&self, process: Process, broken: Break, is_proven: bool) {
        let has_run = is_proven || process.has_answered() || broken.names_a_request();
        let Remains {
            tasks,
            failure,
            never_ran,
            went_home,
        } = process.bury(broken).await;
        if has_run && !never_ran {
            tracing::debug!(job.id = %self.tasks.job().id, error = %failure, "replacing a worker");
        } else {
            self.pool.failed(&failure.message);
        }
        let counts = match self.tasks.alone() {
            // The only task of a process that waited for it, or it would go on so for ever.
            true => !never_ran,
            false => has_run && !never_ran && !went_home,
        };
        for (task, is_to_blame) in tasks {
            let failure = match is_to_blame && counts {
                true => failure.clone(),
                false => failure.clone().retry(Retry::Uncounted),
            };
            self.tasks.record(task, Err(failure));
        }
    }
}

/// A process at work. One that is dropped before it has answered is ended.
#[derive(Debug)]
struct Desk<'a> {
    pool: &'a Pool,
    process: Option<Process>,
}

impl Drop for Desk<'_> {
    fn drop(&mut self) {
        if let Some(process) = self.process.take_if(|process| process.in_flight() == 0) {
            self.pool.put_back(process);
        }
    }
}
