//! The headers of requests: the queue's own, with what they take from files and the environment, and those of the task.

use std::{
    collections::BTreeMap,
    env, fmt, fs, io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hyper::{
    HeaderMap,
    header::{self, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT},
};
use thiserror::Error;
use tokio::{task::spawn_blocking, time::Instant};

use super::template::{Part, Template};
use crate::handler::{Job, Task};

/// Files are read again after this time, for secrets that are replaced while the executor runs.
const FRESH_FOR: Duration = Duration::from_secs(10);

/// Set by HTTP itself, and not for a configuration to change.
const FRAMING: [HeaderName; 8] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const JOB: HeaderName = HeaderName::from_static("distjob-job");
const INDEX: HeaderName = HeaderName::from_static("distjob-index");
const ATTEMPT: HeaderName = HeaderName::from_static("distjob-attempt");
const QUEUE: HeaderName = HeaderName::from_static("distjob-queue");

/// Why headers cannot be used. Names them, never their values.
#[derive(Debug, Error)]
pub(crate) enum BadHeader {
    /// No name of a header.
    #[error("\"{0}\" is no name of a header")]
    Name(String),
    /// A header that is not for a configuration to set.
    #[error("{0} is set by the executor itself")]
    Reserved(HeaderName),
    /// A value that holds what a header cannot.
    #[error("the value of {0} holds what no header can, such as a line break")]
    Value(HeaderName),
    /// A variable that is not set.
    #[error("{name} names the variable {variable}, which is not set")]
    Variable {
        /// The header.
        name: HeaderName,
        /// What is not set.
        variable: String,
    },
    /// A file that cannot be read.
    #[error("{name} names the file {path}: {error}")]
    File {
        /// The header.
        name: HeaderName,
        /// Its path.
        path: String,
        /// Why.
        error: io::Error,
    },
}

/// The headers that a configuration names, the same for each task of a queue.
pub(super) struct QueueHeaders {
    templates: Arc<[(HeaderName, Template)]>,
    reads_files: bool,
    read: Mutex<Read>,
}

#[derive(Clone)]
struct Read {
    headers: Arc<HeaderMap>,
    at: Instant,
}

impl QueueHeaders {
    /// Reads what the headers need for the first time.
    ///
    /// # Errors
    /// When one of them cannot be sent.
    pub(super) fn new(configured: &BTreeMap<String, String>) -> Result<Self, BadHeader> {
        let templates: Arc<[_]> = parse(configured)?.into();
        let headers = Arc::new(render(&templates)?);
        let reads_files = templates.iter().any(|(_, template)| template.reads_files());
        let read = Read {
            headers,
            at: Instant::now(),
        };
        Ok(Self {
            templates,
            reads_files,
            read: Mutex::new(read),
        })
    }

    /// All headers of a request: these, and the task's own.
    pub(super) async fn of_task(&self, job: &Job, task: &Task) -> HeaderMap {
        let mut headers = HeaderMap::clone(&*self.current().await);
        headers.insert(JOB, visible(job.id.as_str()));
        headers.insert(INDEX, task.index.into());
        headers.insert(ATTEMPT, task.attempt.into());
        headers.insert(QUEUE, visible(job.queue.as_str()));
        headers.insert(IDEMPOTENCY_KEY, visible(&job.idempotency_key(task.index)));
        headers
    }

    /// As they stand now. A file that cannot be read any more leaves them as they were.
    async fn current(&self) -> Arc<HeaderMap> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if !self.reads_files || read.at.elapsed() < FRESH_FOR {
            return read.headers;
        }
        let templates = Arc::clone(&self.templates);
        let headers = match spawn_blocking(move || render(&templates)).await {
            Ok(Ok(headers)) => Arc::new(headers),
            Ok(Err(error)) => {
                tracing::warn!(%error, "failed to read the headers of requests again, keeping the old ones");
                read.headers
            }
            // The runtime is going down.
            Err(_) => read.headers,
        };
        let at = Instant::now();
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = Read {
            headers: Arc::clone(&headers),
            at,
        };
        headers
    }
}

impl fmt::Debug for QueueHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.templates.iter().map(|(name, _)| name))
            .finish()
    }
}

/// The headers that `configured` names, checked as far as is possible without reading anything.
///
/// # Errors
/// A name that is none, or not for a configuration to set.
pub(crate) fn parse(configured: &BTreeMap<String, String>) -> Result<Vec<(HeaderName, Template)>, BadHeader> {
    let templates = configured.iter().map(|(name, value)| {
        let name: HeaderName = name.parse().map_err(|_| BadHeader::Name(name.clone()))?;
        let is_ours = name == IDEMPOTENCY_KEY || name.as_str().starts_with("distjob-");
        if is_ours || FRAMING.contains(&name) {
            return Err(BadHeader::Reserved(name));
        }
        Ok((name, Template::parse(value)))
    });
    templates.collect()
}

fn render(templates: &[(HeaderName, Template)]) -> Result<HeaderMap, BadHeader> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    let agent = concat!("distjob/", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, HeaderValue::from_static(agent));
    for (name, template) in templates {
        let mut bytes = Vec::new();
        for part in template.parts() {
            match part {
                Part::Text(text) => bytes.extend(text.as_bytes()),
                Part::Variable(variable) => {
                    let value = env::var(variable).map_err(|_| BadHeader::Variable {
                        name: name.clone(),
                        variable: variable.clone(),
                    })?;
                    bytes.extend(value.as_bytes());
                }
                Part::File(path) => {
                    let text = fs::read(path).map_err(|error| BadHeader::File {
                        name: name.clone(),
                        path: path.clone(),
                        error,
                    })?;
                    // Editors and shells end files with a line break.
                    bytes.extend(text.trim_ascii_end());
                }
            }
        }
        let mut value = HeaderValue::from_bytes(&bytes).map_err(|_| BadHeader::Value(name.clone()))?;
        value.set_sensitive(true);
        headers.insert(name.clone(), value);
    }
    Ok(headers)
}

/// Ids, queues and keys are visible ASCII by their types.
fn visible(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let pairs = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        pairs.collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_secret_in_a_file_may_be_replaced_while_the_executor_runs() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        fs::write(path, "first\n").unwrap();
        let value = format!("Bearer {{file:{path}}}");
        let headers = QueueHeaders::new(&configured(&[("Authorization", &value)])).unwrap();
        assert_eq!(headers.current().await["authorization"], "Bearer first");
        assert!(!format!("{headers:?}").contains("first"));
        fs::write(path, "second").unwrap();
        assert_eq!(headers.current().await["authorization"], "Bearer first");
        tokio::time::advance(FRESH_FOR).await;
        assert_eq!(headers.current().await["authorization"], "Bearer second");
        fs::remove_file(path).unwrap();
        tokio::time::advance(FRESH_FOR).await;
        assert_eq!(headers.current().await["authorization"], "Bearer second");
    }

    #[tokio::test]
    async fn what_a_configuration_says_goes_before_the_defaults() {
        let plain = QueueHeaders::new(&BTreeMap::new()).unwrap();
        assert_eq!(plain.current().await[CONTENT_TYPE], "application/octet-stream");
        let json = configured(&[("content-type", "application/json")]);
        let json = QueueHeaders::new(&json).unwrap();
        assert_eq!(json.current().await[CONTENT_TYPE], "application/json");
    }

    #[test]
    fn headers_that_cannot_be_sent_are_named_without_their_values() {
        for (name, value, why) in [
            ("a b", "v", "\"a b\" is no name of a header"),
            (
                "Content-Length",
                "1",
                "content-length is set by the executor itself",
            ),
            ("Distjob-Job", "1", "distjob-job is set by the executor itself"),
            (
                "X-Key",
                "secret\r\nHost: x",
                "the value of x-key holds what no header can, such as a line break",
            ),
            (
                "X-Key",
                "{env:DISTJOB_NOT_SET}",
                "x-key names the variable DISTJOB_NOT_SET, which is not set",
            ),
        ] {
            let refused = QueueHeaders::new(&configured(&[(name, value)]));
            assert_eq!(refused.unwrap_err().to_string(), why);
        }
        let missing = QueueHeaders::new(&configured(&[("X-Key", "{file:/not/there}")]));
        assert!(
            missing
                .unwrap_err()
                .to_string()
                .starts_with("x-key names the file /not/there: ")
        );
    }
}
