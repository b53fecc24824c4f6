//! What is said to a program, and what is said of its end.

use std::{
    borrow::Cow, ffi::OsString, os::unix::ffi::OsStringExt as _, os::unix::process::ExitStatusExt as _,
    process::ExitStatus,
};

use super::Program;
use crate::{
    config::Placeholder,
    handler::{Failure, Job, Task},
    launcher,
};

impl Program {
    /// The arguments for a task.
    pub(super) fn arguments(&self, job: &Job, task: &Task, key: &str) -> Vec<OsString> {
        let fill = |place| -> Cow<'_, [u8]> {
            match place {
                Placeholder::Task => task.payload().into(),
                Placeholder::Job => job.id.as_str().as_bytes().into(),
                Placeholder::Index => task.index.to_string().into_bytes().into(),
                Placeholder::Attempt => task.attempt.to_string().into_bytes().into(),
                Placeholder::Queue => job.queue.as_str().as_bytes().into(),
                Placeholder::Key => key.as_bytes().into(),
            }
        };
        let arguments = self
            .argv
            .iter()
            .map(|argument| OsString::from_vec(argument.fill(fill)));
        arguments.collect()
    }

    /// What it means that the program ended like this: nothing when it succeeded.
    pub(super) fn judge(&self, status: ExitStatus) -> Option<Failure> {
        let Some(code) = status.code().and_then(|code| u8::try_from(code).ok()) else {
            let orders = &self.spawner.bounds().orders;
            let why = launcher::limit_reached(orders, status);
            return Some(why.unwrap_or_else(|| death(status)).into());
        };
        if self.success.contains(&code) {
            return None;
        }
        let failure = Failure::new(format!("exit status {code}"));
        Some(if self.final_statuses.contains(&code) {
            failure.is_final()
        } else {
            failure
        })
    }

    /// It wrote more than it may.
    pub(super) fn too_much(&self) -> Failure {
        let most = self.spawner.bounds().output_max;
        Failure::new(format!(
            "wrote a value of more than {most} bytes (bounds.output_max)"
        ))
        .is_final()
    }

    /// It took longer than it may.
    pub(super) fn too_long(&self) -> Failure {
        Failure::timed_out(self.timeout.unwrap_or_default())
    }
}

/// How a program ended that did not exit.
fn death(status: ExitStatus) -> String {
    match status.signal() {
        Some(signal) => format!("died of {}", name(signal)),
        None => status.to_string(),
    }
}

fn name(signal: i32) -> Cow<'static, str> {
    use rustix::process::Signal;
    const NAMES: [(Signal, &str); 10] = [
        (Signal::HUP, "SIGHUP"),
        (Signal::INT, "SIGINT"),
        (Signal::ILL, "SIGILL"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::KILL, "SIGKILL"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::PIPE, "SIGPIPE"),
        (Signal::TERM, "SIGTERM"),
    ];
    let known = NAMES.iter().find(|(known, _)| known.as_raw() == signal);
    known.map_or_else(|| format!("signal {signal}").into(), |(_, name)| (*name).into())
}
