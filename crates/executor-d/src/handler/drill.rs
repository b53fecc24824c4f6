//! A handler for tests, in debug builds only: tasks that sleep, fail, or take their executor down with them.
//!
//! `DISTJOB_TEST_HANDLER=drill` makes it the handler. `DISTJOB_TEST_TASK_DELAY_US` lets every task take so many
//! microseconds longer, with this handler or around the usual one. `DISTJOB_TEST_EXECUTIONS` names a file to which
//! each execution appends one byte: its size is the number of executions.

use std::{borrow::Cow, fs::File, io::Write as _, thread, time::Duration};

use super::{Handler, Prime, Verdict};

/// Payloads: `sleep <ms>`, `fail <message>`, `abort`, and anything else is its own value.
#[derive(Debug)]
pub struct Drill {
    commands: bool,
    delay: Duration,
    executions: Option<File>,
}

impl Drill {
    /// The drill that the environment asks for, if it does.
    #[must_use]
    pub fn from_environment() -> Option<Self> {
        let variable = |name: &str| std::env::var(name).ok();
        let commands = variable("DISTJOB_TEST_HANDLER").as_deref() == Some("drill");
        let delay_us = variable("DISTJOB_TEST_TASK_DELAY_US").and_then(|text| text.parse().ok());
        let executions = variable("DISTJOB_TEST_EXECUTIONS")
            .and_then(|path| File::options().append(true).create(true).open(path).ok());
        let wanted = commands || delay_us.is_some() || executions.is_some();
        let delay = Duration::from_micros(delay_us.unwrap_or(0));
        wanted.then_some(Self {
            commands,
            delay,
            executions,
        })
    }
}

impl Handler for Drill {
    fn handle(&self, payload: &[u8]) -> Verdict {
        if let Some(mut file) = self.executions.as_ref() {
            // A count that is too small fails the test that reads it.
            let _ = file.write_all(b".");
        }
        thread::sleep(self.delay);
        if !self.commands {
            return Prime.handle(payload);
        }
        let text = std::str::from_utf8(payload).unwrap_or_default();
        match text.split_once(' ').unwrap_or((text, "")) {
            ("abort", _) => std::process::abort(),
            ("fail", message) => Err(Cow::Owned(message.to_owned())),
            ("sleep", ms) => {
                thread::sleep(Duration::from_millis(ms.parse().unwrap_or(0)));
                Ok(Cow::Borrowed(b"slept"))
            }
            _ => Ok(Cow::Owned(payload.to_vec())),
        }
    }
}
