//! The headers of requests that a configuration names, with what they take from files and the environment.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hyper::{
    HeaderMap,
    header::{self, HeaderName, HeaderValue},
};
use thiserror::Error;
use tokio::{task::spawn_blocking, time::Instant};

use crate::config::{Recipe, RecipeError};

/// Files are read again after this time, for secrets that are replaced while the program runs.
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

/// The same for each request about the same thing: a receiver can tell a repetition by it.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Why headers cannot be used. Names them, never their values.
#[derive(Debug, Error)]
pub enum BadHeader {
    /// No name of a header.
    #[error("\"{0}\" is no name of a header")]
    Name(String),
    /// A header that is not for a configuration to set.
    #[error("{0} is set by the program itself")]
    Reserved(HeaderName),
    /// A value that holds what a header cannot.
    #[error("the value of {0} holds what no header can, such as a line break")]
    Value(HeaderName),
    /// It takes something from where there is nothing.
    #[error("{name} names {missing}")]
    Missing {
        /// The header.
        name: HeaderName,
        /// What is not there.
        missing: RecipeError,
    },
}

/// The headers that a configuration names, over defaults of the program. Files that they name are read again now and then,
/// for secrets that are replaced while the program runs.
pub struct Headers {
    recipes: Arc<[(HeaderName, Recipe)]>,
    defaults: HeaderMap,
    reads_files: bool,
    read: Mutex<Read>,
}

#[derive(Clone)]
struct Read {
    headers: Arc<HeaderMap>,
    at: Instant,
}

impl Headers {
    /// Reads what the headers need for the first time, while the caller waits.
    ///
    /// # Errors
    /// When one of them cannot be sent.
    pub fn new(configured: &BTreeMap<String, String>, defaults: HeaderMap) -> Result<Self, BadHeader> {
        let recipes: Arc<[_]> = parse(configured)?.into();
        let headers = Arc::new(render(&recipes, &defaults)?);
        let reads_files = recipes.iter().any(|(_, recipe)| recipe.reads_files());
        let read = Read {
            headers,
            at: Instant::now(),
        };
        Ok(Self {
            recipes,
            defaults,
            reads_files,
            read: Mutex::new(read),
        })
    }

    /// As they stand now. A file that cannot be read any more leaves them as they were.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn current(&self) -> Arc<HeaderMap> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if !self.reads_files || read.at.elapsed() < FRESH_FOR {
            return read.headers;
        }
        let (recipes, defaults) = (Arc::clone(&self.recipes), self.defaults.clone());
        let headers = match spawn_blocking(move || render(&recipes, &defaults)).await {
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

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.recipes.iter().map(|(name, _)| name))
            .finish()
    }
}

/// The headers that `configured` names, checked as far as is possible without reading anything.
///
/// # Errors
/// A name that is none, or not for a configuration to set.
fn parse(configured: &BTreeMap<String, String>) -> Result<Vec<(HeaderName, Recipe)>, BadHeader> {
    let recipes = configured.iter().map(|(name, value)| {
        let name: HeaderName = name.parse().map_err(|_| BadHeader::Name(name.clone()))?;
        let is_ours = name == IDEMPOTENCY_KEY || name.as_str().starts_with("distjob-");
        if is_ours || FRAMING.contains(&name) {
            return Err(BadHeader::Reserved(name));
        }
        Ok((name, Recipe::parse(value)))
    });
    recipes.collect()
}

fn render(recipes: &[(HeaderName, Recipe)], defaults: &HeaderMap) -> Result<HeaderMap, BadHeader> {
    let mut headers = defaults.clone();
    for (name, recipe) in recipes {
        let bytes = recipe.bytes().map_err(|missing| BadHeader::Missing {
            name: name.clone(),
            missing,
        })?;
        let mut value = HeaderValue::from_bytes(&bytes).map_err(|_| BadHeader::Value(name.clone()))?;
        value.set_sensitive(true);
        headers.insert(name.clone(), value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use hyper::header::CONTENT_TYPE;

    use super::*;

    fn configured(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let pairs = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        pairs.collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_secret_in_a_file_may_be_replaced_while_the_program_runs() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        fs::write(path, "first\n").unwrap();
        let value = format!("Bearer {{file:{path}}}");
        let headers = Headers::new(&configured(&[("Authorization", &value)]), HeaderMap::new()).unwrap();
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
        let mut defaults = HeaderMap::new();
        defaults.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        let plain = Headers::new(&BTreeMap::new(), defaults.clone()).unwrap();
        assert_eq!(plain.current().await[CONTENT_TYPE], "text/plain");
        let json = configured(&[("content-type", "application/json")]);
        let json = Headers::new(&json, defaults).unwrap();
        assert_eq!(json.current().await[CONTENT_TYPE], "application/json");
    }

    #[test]
    fn headers_that_cannot_be_sent_are_named_without_their_values() {
        for (name, value, why) in [
            ("a b", "v", "\"a b\" is no name of a header"),
            (
                "Content-Length",
                "1",
                "content-length is set by the program itself",
            ),
            ("Distjob-Job", "1", "distjob-job is set by the program itself"),
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
            let refused = Headers::new(&configured(&[(name, value)]), HeaderMap::new());
            assert_eq!(refused.unwrap_err().to_string(), why);
        }
        let missing = Headers::new(&configured(&[("X-Key", "{file:/not/there}")]), HeaderMap::new());
        assert!(
            missing
                .unwrap_err()
                .to_string()
                .starts_with("x-key names the file /not/there: ")
        );
    }
}
