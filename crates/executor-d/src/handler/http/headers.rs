//! The headers of requests: the queue's own, and those of the task.

use std::collections::BTreeMap;

use distjob_runtime::headers::{BadHeader, Headers, IDEMPOTENCY_KEY};
use hyper::{
    HeaderMap,
    header::{CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT},
};

use crate::handler::{Job, Task};

const JOB: HeaderName = HeaderName::from_static("distjob-job");
const INDEX: HeaderName = HeaderName::from_static("distjob-index");
const ATTEMPT: HeaderName = HeaderName::from_static("distjob-attempt");
const QUEUE: HeaderName = HeaderName::from_static("distjob-queue");

/// The headers that a configuration names, the same for each task of a queue.
#[derive(Debug)]
pub(super) struct QueueHeaders(Headers);

impl QueueHeaders {
    /// Reads what the headers need for the first time.
    ///
    /// # Errors
    /// When one of them cannot be sent.
    pub(super) fn new(configured: &BTreeMap<String, String>) -> Result<Self, BadHeader> {
        let mut defaults = HeaderMap::new();
        defaults.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        let agent = concat!("distjob/", env!("CARGO_PKG_VERSION"));
        defaults.insert(USER_AGENT, HeaderValue::from_static(agent));
        Headers::new(configured, defaults).map(Self)
    }

    /// All headers of a request: these, and the task's own.
    pub(super) async fn of_task(&self, job: &Job, task: &Task) -> HeaderMap {
        let mut headers = HeaderMap::clone(&*self.0.current().await);
        headers.insert(JOB, visible(job.id.as_str()));
        headers.insert(INDEX, task.index.into());
        headers.insert(ATTEMPT, task.attempt.into());
        headers.insert(QUEUE, visible(job.queue.as_str()));
        headers.insert(IDEMPOTENCY_KEY, visible(&job.idempotency_key(task.index)));
        headers
    }
}

/// Ids, queues and keys are visible ASCII by their types.
fn visible(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}
