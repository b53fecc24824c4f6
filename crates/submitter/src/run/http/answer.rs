//! What is answered, and what the failures of a submission look like from outside.

use std::{fmt::Display, time::Duration};

use bytes::Bytes;
use distjob_core::{JobId, pressure::Pressure};
use distjob_runtime::{chance, exit::Status, store::StoreError};
use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER},
};
use serde::Serialize;
use serde_json::json;

use crate::run::{
    cutter::Refused,
    desk::{Handed, SubmitError},
    gate::Busy,
};

/// What hyper sends.
pub(super) type Reply = Response<Full<Bytes>>;

/// After how long to come back, about, when a store failed or the service ends.
const COME_BACK: Duration = Duration::from_secs(5);

/// An answer, of which the body is one line of JSON.
#[derive(Debug)]
pub(super) struct Answer {
    status: StatusCode,
    body: String,
    headers: Vec<(hyper::header::HeaderName, HeaderValue)>,
}

impl Answer {
    fn new(status: StatusCode, body: &impl Serialize) -> Self {
        // Nothing that is answered has a key that is no text.
        let body = serde_json::to_string(body).unwrap_or_default() + "\n";
        Self {
            status,
            body,
            headers: Vec::new(),
        }
    }

    /// It was done.
    pub(super) fn ok(body: &impl Serialize) -> Self {
        Self::new(StatusCode::OK, body)
    }

    /// It was not done, for this reason.
    pub(super) fn refuse(status: StatusCode, why: &dyn Display) -> Self {
        Self::new(status, &json!({"error": why.to_string()}))
    }

    /// The service ends before it can answer.
    pub(super) fn ending() -> Self {
        Self::refuse(StatusCode::SERVICE_UNAVAILABLE, &SubmitError::Ending).come_back_after(COME_BACK)
    }

    pub(super) fn nothing_here() -> Self {
        Self::refuse(
            StatusCode::NOT_FOUND,
            &"there is nothing here but POST /submit/<queue> and GET /jobs/<id>",
        )
    }

    pub(super) fn not_allowed(methods: &'static str) -> Self {
        Self::refuse(StatusCode::METHOD_NOT_ALLOWED, &format_args!("use {methods}"))
            .with(ALLOW, HeaderValue::from_static(methods))
    }

    fn with(mut self, name: hyper::header::HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The connection ends with it: what the other side still sends is of no use.
    pub(super) fn and_close(self) -> Self {
        self.with(CONNECTION, HeaderValue::from_static("close"))
    }

    /// Asks to come back, not all at the same time.
    fn come_back_after(self, after: Duration) -> Self {
        let seconds = chance::upper_half(after * 2).as_secs().max(1);
        self.with(RETRY_AFTER, HeaderValue::from(seconds))
    }

    pub(super) const fn status(&self) -> u16 {
        self.status.as_u16()
    }

    pub(super) fn into_reply(self) -> Reply {
        let mut reply = Response::new(Full::new(Bytes::from(self.body)));
        *reply.status_mut() = self.status;
        let headers = reply.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.extend(self.headers.into_iter().map(|(name, value)| (Some(name), value)));
        reply
    }
}

impl From<Busy> for Answer {
    fn from(busy: Busy) -> Self {
        let status = match busy.0 {
            Pressure::Away(_) => StatusCode::SERVICE_UNAVAILABLE,
            Pressure::Memory { .. } | Pressure::Jobs { .. } => StatusCode::TOO_MANY_REQUESTS,
        };
        Self::refuse(status, &busy).come_back_after(busy.0.retry_after())
    }
}

impl From<Refused> for Answer {
    fn from(refused: Refused) -> Self {
        let (Refused::TooLong { line, .. } | Refused::NotJson { line, .. }) = &refused;
        let body = json!({"error": refused.to_string(), "line": line});
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, &body)
    }
}

impl From<SubmitError> for Answer {
    fn from(error: SubmitError) -> Self {
        Self::from((Handed::default(), error))
    }
}

impl From<(Handed, SubmitError)> for Answer {
    /// A failure tells also which jobs are safe all the same.
    fn from((handed, error): (Handed, SubmitError)) -> Self {
        let status = match &error {
            SubmitError::Input(_) | SubmitError::Taken { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            SubmitError::TooMany { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            SubmitError::Ending => StatusCode::SERVICE_UNAVAILABLE,
            SubmitError::Failed(error) if is_full(error) => StatusCode::TOO_MANY_REQUESTS,
            SubmitError::Failed(error) if Status::of(error) == Status::Unreachable => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            SubmitError::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let jobs: Vec<_> = handed.jobs.iter().map(JobId::as_str).collect();
        let answer = Self::new(status, &json!({"error": error.to_string(), "jobs": jobs}));
        match status {
            StatusCode::UNPROCESSABLE_ENTITY | StatusCode::PAYLOAD_TOO_LARGE => answer,
            _ => answer.come_back_after(COME_BACK),
        }
    }
}

/// Whether the store refused for want of memory.
fn is_full(error: &anyhow::Error) -> bool {
    let cause = error.downcast_ref::<StoreError>();
    cause.is_some_and(StoreError::is_out_of_memory)
}
