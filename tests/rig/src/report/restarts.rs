//! How often each process was started, and how it ended.

use std::collections::BTreeMap;

use crate::history::{Event, Exit, History, Role};

const SIGKILL: i32 = 9;
const SIGABRT: i32 = 6;

/// What happened to the daemons and servers of a role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Restarts {
    /// Processes that were started.
    pub(super) started: u64,
    /// Those that a SIGKILL ended.
    pub(super) killed: u64,
    /// Those that a task ended.
    pub(super) aborted: u64,
    /// Those that ended with status 0.
    pub(super) left: u64,
    /// All others that ended.
    pub(super) failed: u64,
}

/// By role.
pub(super) fn restarts(history: &History) -> BTreeMap<Role, Restarts> {
    let mut roles = BTreeMap::new();
    let mut counts = BTreeMap::<Role, Restarts>::new();
    for (_, event) in history.events() {
        match event {
            Event::ProcessStarted { name, role, .. } => {
                roles.insert(name, *role);
                counts.entry(*role).or_default().started += 1;
            }
            Event::ProcessExited { name, exit } => {
                if let Some(count) = roles.get(name).and_then(|role| counts.get_mut(role)) {
                    *count.of(*exit) += 1;
                }
            }
            _ => {}
        }
    }
    counts
}

impl Restarts {
    const fn of(&mut self, exit: Exit) -> &mut u64 {
        match exit {
            Exit::Signal(SIGKILL) => &mut self.killed,
            Exit::Signal(SIGABRT) => &mut self.aborted,
            Exit::Status(0) => &mut self.left,
            Exit::Status(_) | Exit::Signal(_) => &mut self.failed,
        }
    }
}
