//! Every process ends as it was asked to, and every daemon ends.
//!
//! Two ways of ending are nobody's fault: a submitter or an operator's command that fails while stores are away, and an
//! executor that runs a task which aborts it.

use std::collections::BTreeMap;

use super::{Case, Findings, Promise};
use crate::{
    expect::Flavour,
    history::{Event, Exit, Role},
};

const SIGABRT: i32 = 6;
const SIGKILL: i32 = 9;
/// A failure, or a store that stayed unreachable.
const FAILURES: [i32; 2] = [1, 69];

/// A process that was started.
struct Process {
    role: Role,
    is_killed: bool,
    is_stopped: bool,
}

pub(super) fn check(case: &Case<'_>, found: &mut Findings) {
    let mut running = BTreeMap::<&str, Process>::new();
    let mut has_ended = false;
    for (at_ms, event) in case.history.events() {
        match event {
            Event::ProcessStarted { name, role, .. } => {
                let process = Process {
                    role: *role,
                    is_killed: false,
                    is_stopped: false,
                };
                running.insert(name, process);
            }
            Event::ProcessKilled { name } => {
                running.entry(name).and_modify(|process| process.is_killed = true);
            }
            Event::ProcessStopped { name } => {
                running
                    .entry(name)
                    .and_modify(|process| process.is_stopped = true);
            }
            Event::ProcessExited { name, exit } => {
                let process = running.remove(name.as_str());
                if !process.is_some_and(|process| process.may_end(case, *exit)) {
                    found.add(Promise::Exits, name, format!("it ended by {exit} at {at_ms} ms"));
                }
            }
            Event::Ended => has_ended = true,
            _ => {}
        }
    }
    let is_daemon = |process: &Process| matches!(process.role, Role::Executor | Role::Watcher);
    for (name, _) in running
        .iter()
        .filter(|(_, process)| has_ended && is_daemon(process))
    {
        found.add(Promise::Exits, *name, "it never ended");
    }
}

impl Process {
    fn may_end(&self, case: &Case<'_>, exit: Exit) -> bool {
        match (self.role, exit) {
            (_, Exit::Signal(SIGKILL)) => self.is_killed,
            // How the servers end when they are asked to is not the project's.
            (Role::ZooKeeper | Role::Redis, _) => self.is_killed || self.is_stopped,
            (Role::Executor, Exit::Signal(SIGABRT)) => {
                let mut flavours = case.jobs.keys().filter_map(|id| Flavour::of(id));
                flavours.any(Flavour::aborts)
            }
            (Role::Executor | Role::Watcher, Exit::Status(status)) => status == 0 && self.is_stopped,
            (Role::Submitter | Role::Operator, Exit::Status(status)) => {
                status == 0 || FAILURES.contains(&status)
            }
            (_, Exit::Signal(_)) => false,
        }
    }
}
