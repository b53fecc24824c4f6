//! What an answer means for its task.

use std::{borrow::Cow, time::SystemTime};

use distjob_runtime::retry_after;
use hyper::{StatusCode, header::LOCATION};

use super::client::{Answer, BodyEnd, chain};
use crate::{
    config::Statuses,
    handler::{Failure, Retry, Verdict},
};

/// So much of the body of an error is quoted in its message.
const QUOTED_MAX: usize = 200;

/// Which answers are what.
#[derive(Debug)]
pub(super) struct Rules {
    /// With these the body is the task's value.
    pub(super) expected: Statuses,
    /// With these a task is not tried again.
    pub(super) refused: Statuses,
    /// Most bytes of a value.
    pub(super) value_max: u64,
    /// Most bytes that are kept of the body of an error.
    pub(super) error_max: u64,
}

impl Rules {
    /// How much is read of the body of an answer.
    pub(super) fn body_max(&self, status: StatusCode) -> u64 {
        if self.is_expected(status) {
            self.value_max
        } else {
            self.error_max.max(QUOTED_MAX as u64)
        }
    }

    fn is_expected(&self, status: StatusCode) -> bool {
        self.expected.contains(status.as_u16())
    }

    /// The verdict on a task that was answered so.
    pub(super) fn judge(&self, answer: Answer, now: SystemTime) -> Verdict {
        if !self.is_expected(answer.status) {
            return Err(self.unexpected(&answer, now));
        }
        match answer.end {
            BodyEnd::Whole => Ok(Cow::Owned(answer.body.into())),
            BodyEnd::TooLong => {
                let most = self.value_max;
                let message = format!("the answer is longer than {most} bytes, see bounds.output_max");
                Err(Failure::new(message).is_final())
            }
            BodyEnd::Broken(error) => Err(format!("the answer broke off: {}", chain(&error)).into()),
        }
    }

    fn unexpected(&self, answer: &Answer, now: SystemTime) -> Failure {
        let status = answer.status;
        let retry = if self.refused.contains(status.as_u16()) {
            Retry::Never
        } else {
            // However long it asks for: the queue's policy says what is too long.
            retry_after(&answer.headers, now).map_or(Retry::Policy, Retry::After)
        };
        let kept = usize::try_from(self.error_max).unwrap_or(usize::MAX);
        let mut stderr = answer.body.to_vec();
        stderr.truncate(kept);
        Failure::new(message(answer)).retry(retry).with_stderr(stderr)
    }
}

/// The status, and the start of the body.
fn message(answer: &Answer) -> String {
    let mut message = format!("HTTP status {}", answer.status);
    if answer.status.is_redirection() {
        let place = answer
            .headers
            .get(LOCATION)
            .map(|to| String::from_utf8_lossy(to.as_bytes()));
        message.push_str(" (redirects are not followed");
        if let Some(place) = place {
            // Without the query, as everywhere.
            let place = place.split(['?', '#']).next().unwrap_or_default();
            message.push_str(&format!("; to {place}"));
        }
        message.push(')');
    }
    let start = &answer.body[..answer.body.len().min(QUOTED_MAX)];
    let quoted = String::from_utf8_lossy(start);
    let quoted: Vec<_> = quoted.split_whitespace().collect();
    if !quoted.is_empty() {
        message.push_str(": ");
        message.push_str(quoted.join(" ").trim_end_matches(char::REPLACEMENT_CHARACTER));
        if answer.body.len() > QUOTED_MAX {
            message.push('…');
        }
    }
    message
}
