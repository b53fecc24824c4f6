//! Tasks for tests, in debug builds only: they sleep, hang, fail, bloat, or take their executor down with them.
//!
//! `DISTJOB_TEST_HANDLER=drill` makes it what is done with tasks. `DISTJOB_TEST_TASK_DELAY_US` lets every task take so
//! many microseconds longer, with this or around the usual one. `DISTJOB_TEST_EXECUTIONS` names a file to which each
//! execution appends a line: the first 64 bytes of the payload, with `?` for what is no visible ASCII.

use std::{borrow::Cow, fs::File, io::Write as _, str::FromStr, thread, time::Duration};

use super::{Failure, Function, Job, Task, Verdict, prime};

/// How much of a payload is noted.
const NOTED_MAX: usize = 64;

/// Payloads: `sleep <ms>`, `hang`, `fail <message>` (for good), `flaky <attempts>` (succeeds after so many failed ones),
/// `bloat <bytes>` (its value has so many), `abort`, `say <value>`, and anything else is its own value. More words may follow, which
/// tell tasks apart.
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

    fn note(&self, payload: &[u8]) {
        let Some(mut file) = self.executions.as_ref() else {
            return;
        };
        let noted = payload.iter().take(NOTED_MAX);
        let visible = noted.map(|byte| match byte {
            b' '..=b'~' => *byte,
            _ => b'?',
        });
        let line: Vec<u8> = visible.chain([b'\n']).collect();
        // One write a line: appending is atomic, whoever else does. A list that is too short fails the test that reads it.
        let _ = file.write_all(&line);
    }
}

impl Function for Drill {
    fn handle(&self, _: &Job, task: &Task) -> Verdict {
        self.perform(task.payload(), task.attempt)
    }
}

impl Drill {
    fn perform(&self, payload: &[u8], attempt: u32) -> Verdict {
        self.note(payload);
        thread::sleep(self.delay);
        if !self.commands {
            return prime::verdict(payload);
        }
        let text = std::str::from_utf8(payload).unwrap_or_default();
        match text.split_once(' ').unwrap_or((text, "")) {
            ("abort", _) => std::process::abort(),
            ("hang", _) => loop {
                thread::park();
            },
            ("say", value) => Ok(Cow::Owned(value.as_bytes().to_vec())),
            ("fail", message) => Err(Failure::from(message.to_owned()).is_final()),
            ("flaky", failures) if attempt <= first_number(failures) => {
                Err(format!("failed at attempt {attempt}").into())
            }
            ("bloat", bytes) => Ok(Cow::Owned(vec![b'b'; first_number(bytes)])),
            ("sleep", ms) => {
                thread::sleep(Duration::from_millis(first_number(ms)));
                Ok(Cow::Borrowed(b"slept"))
            }
            _ => Ok(Cow::Owned(payload.to_vec())),
        }
    }
}

/// What the first word says; 0 when that is no number.
fn first_number<N: FromStr + Default>(words: &str) -> N {
    let first = words.split(' ').next().unwrap_or_default();
    first.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _};

    use super::*;

    #[test]
    fn each_execution_is_noted_in_a_line_whatever_the_payload_holds() {
        let mut file = tempfile::tempfile().unwrap();
        let drill = Drill {
            commands: true,
            delay: Duration::ZERO,
            executions: Some(file.try_clone().unwrap()),
        };
        assert_eq!(drill.perform(b"bloat 3", 1), Ok(b"bbb".into()));
        assert_eq!(first_number::<u64>("200 of-another-kind"), 200);
        assert_eq!(drill.perform(b"fail a\nb\xff", 1), Ok(b"fail a\nb\xff".into()));
        assert_eq!(drill.perform(&[b'x'; 100], 1), Ok([b'x'; 100].as_slice().into()));
        let mut noted = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut noted).unwrap();
        let long = "x".repeat(NOTED_MAX);
        assert_eq!(noted, format!("bloat 3\nfail a?b?\n{long}\n"));
        assert!(drill.perform(b"flaky 2", 2).is_err());
        assert_eq!(drill.perform(b"flaky 2", 3), Ok(b"flaky 2".into()));
    }
}
