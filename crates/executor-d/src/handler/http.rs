//! The `http` handler: each task is one POST, the body of the answer its value.
//!
//! Reading order: [`Http`]; `judge` (what an answer means), `client` (one exchange), `connect`, `headers`.

mod client;
mod connect;
mod headers;
mod judge;
mod place;

use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use bytes::Bytes;
use futures::{FutureExt as _, future::BoxFuture};
use tokio::time::timeout;

use self::{client::Client, connect::Connector, headers::QueueHeaders, judge::Rules, place::Place};
use super::{AsyncFunction, Failure, Job, Task, Verdict};
use crate::config::{HttpConfig, QueueConfig};

/// Posts tasks to a URL.
///
/// The payload is the body of the request. Its headers tell of the task: `Distjob-Job`, `Distjob-Index`,
/// `Distjob-Attempt`, `Distjob-Queue`, and `Idempotency-Key`, which is the same for all attempts. With an expected
/// status the body of the answer is the value; any other status is an error. Errors are retried by the queue's policy, but
/// for those statuses that are final; a `Retry-After` is honoured up to an hour (or `retry_max`, where that is longer).
///
/// Dropping a running task closes its connection.
#[derive(Debug)]
pub struct Http {
    client: Client,
    headers: QueueHeaders,
    rules: Rules,
    timeout: Option<Duration>,
}

impl Http {
    /// A handler as the configuration of its queue has it. Connects to nothing yet.
    ///
    /// # Errors
    /// When something in it cannot be used: the URL, a header, the file of certificate authorities.
    pub fn new(config: &QueueConfig) -> anyhow::Result<Self> {
        let http = &config.http;
        let place = http.url.parse().context("use http.url, which")?;
        let ca_file = Some(http.ca_file.as_path()).filter(|path| !path.as_os_str().is_empty());
        Ok(Self {
            client: Client::new(place, Connector::new(ca_file, http.connect_timeout)?),
            headers: QueueHeaders::new(&http.headers)?,
            rules: Rules {
                expected: http.expected.clone(),
                refused: http.final_statuses.clone(),
                value_max: config.bounds.output_max,
                error_max: config.bounds.stderr_max,
            },
            timeout: config.timeout(),
        })
    }

    async fn exchange(&self, job: &Job, task: &Task) -> Verdict {
        let headers = self.headers.of_task(job, task).await;
        let body = Bytes::copy_from_slice(task.payload());
        let answer = self
            .client
            .post(headers, body, |status| self.rules.body_max(status))
            .await;
        match answer {
            Ok(answer) => self.rules.judge(answer, SystemTime::now()),
            Err(error) => Err(error.to_string().into()),
        }
    }
}

/// What of `[queue.http]` cannot be used here and now: keys within the queue's table, with what is wrong with each.
pub(crate) fn problems(config: &HttpConfig) -> Vec<(&'static str, String)> {
    let ca_file = Some(config.ca_file.as_path()).filter(|path| !path.as_os_str().is_empty());
    let connector = ca_file.map(|path| Connector::new(Some(path), config.connect_timeout));
    let place = config.url.parse::<Place>().err();
    let headers = QueueHeaders::new(&config.headers).err();
    let trusted = connector.and_then(Result::err);
    [
        place.map(|error| ("http.url", error.to_string())),
        headers.map(|error| ("http.headers", format!("cannot be sent: {error}"))),
        trusted.map(|error| ("http.ca_file", format!("cannot be used: {error:#}"))),
    ]
    .into_iter()
    .flatten()
    .collect()
}

impl AsyncFunction for Http {
    fn handle<'a>(&'a self, job: &'a Job, task: &'a Task) -> BoxFuture<'a, Verdict> {
        async move {
            let Some(limit) = self.timeout else {
                return self.exchange(job, task).await;
            };
            let exchange = timeout(limit, self.exchange(job, task)).await;
            exchange.unwrap_or_else(|_| Err(Failure::timed_out(limit)))
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests;
