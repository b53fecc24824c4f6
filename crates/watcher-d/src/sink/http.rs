//! What sinks that speak HTTP have in common.

use std::{fs, path::Path, sync::Arc, time::Duration};

use distjob_runtime::retry_after;
use reqwest::{Certificate, Client, Response, StatusCode, Url, redirect::Policy};

use super::SinkError;
use distjob_runtime::chance;
use tokio::time::timeout;

/// An attempt to connect that takes longer has failed.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Of what a server says beside its status, so much is quoted.
const QUOTED_MAX: usize = 200;

/// For so long is waited for that: a server may send no more than the status, and leave the connection open.
const QUOTED_WITHIN: Duration = Duration::from_secs(2);

/// No server keeps a delivery waiting for longer than this.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Makes the TLS of this process that of ring. Libraries that make clients of their own ask for it.
pub(super) fn prepare_tls() {
    // It fails when there is one already: this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The certificate authorities in a PEM file; none when the path is empty. Blocks.
///
/// # Errors
/// When it cannot be read, or holds none.
pub(super) fn authorities(ca_file: &Path) -> Result<Vec<u8>, String> {
    if ca_file.as_os_str().is_empty() {
        return Ok(Vec::new());
    }
    let pem = fs::read(ca_file).map_err(|error| error.to_string())?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(found) if found.is_empty() => Err("it holds no certificate".to_owned()),
        Ok(_) => Ok(pem),
        Err(error) => Err(chain(&error)),
    }
}

/// A client for `url`, which follows no redirects and asks no proxies, whatever the environment says. Blocks.
///
/// # Errors
/// When the authorities cannot be used, or there are none at all.
pub(super) fn client(url: &Url, ca_file: &Path) -> Result<Client, String> {
    prepare_tls();
    let pem = authorities(ca_file)?;
    let authorities = Certificate::from_pem_bundle(&pem).unwrap_or_default();
    let builder = Client::builder()
        .user_agent(AGENT)
        .redirect(Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .no_proxy();
    let builder = match url.scheme() {
        // A machine without certificates can do without TLS.
        "http" => builder.tls_certs_only([]),
        _ => builder.tls_certs_merge(authorities),
    };
    builder.build().map_err(|error| chain(&error))
}

/// Who asks.
pub(super) const AGENT: &str = concat!("distjob/", env!("CARGO_PKG_VERSION"));

/// The URL of a sink that speaks HTTP.
///
/// # Errors
/// What is wrong with it; fits after its key.
pub(super) fn place(text: &str) -> Result<Url, String> {
    let url: Url = text
        .parse()
        .map_err(|_| "is no URL such as \"https://results.internal/take\"".to_owned())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with http:// or https://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user or a password".to_owned());
    }
    Ok(url)
}

/// The URL without what may be secret.
pub(super) fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_query(None);
    shown.set_fragment(None);
    shown.to_string()
}

/// The failure to do `what`, because there was no answer.
pub(super) fn unanswered(what: String, error: reqwest::Error) -> SinkError {
    SinkError::new(what).because(chain(&error.without_url()))
}

/// The failure to do `what`, because of this answer: its status, the beginning of what it says, and when it asks to come
/// again.
pub(super) async fn refused(what: String, answer: Response) -> SinkError {
    let status = answer.status();
    let now = std::time::UNIX_EPOCH + chance::since_1970();
    let again = retry_after(answer.headers(), now).map(|asked| asked.min(PATIENCE));
    let words = quote(answer).await;
    let error = SinkError::new(what).because(told(status, &words));
    match again {
        Some(again) => error.after(again),
        None => error,
    }
}

fn told(status: StatusCode, words: &str) -> String {
    match words {
        "" => format!("the answer was {status}"),
        _ => format!("the answer was {status}: {words}"),
    }
}

/// The beginning of the body, on one line.
async fn quote(mut answer: Response) -> String {
    let mut body = Vec::new();
    let read = async {
        while body.len() < QUOTED_MAX
            && let Ok(Some(chunk)) = answer.chunk().await
        {
            body.extend_from_slice(&chunk);
        }
    };
    // What came is quoted, however it ended.
    let _ = timeout(QUOTED_WITHIN, read).await;
    body.truncate(QUOTED_MAX);
    let text = String::from_utf8_lossy(&body);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The error with its causes.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut texts: Vec<String> = Vec::new();
    for text in causes.map(ToString::to_string) {
        // Some tell their cause themselves.
        if texts.last().is_none_or(|last| !last.contains(&text)) {
            texts.push(text);
        }
    }
    texts.join(": ")
}

/// What a sink makes when it is first needed, as it may take files, and again when that failed.
#[derive(Debug)]
pub(super) struct Lazy<T>(tokio::sync::OnceCell<Arc<T>>);

impl<T: Send + Sync + 'static> Lazy<T> {
    pub(super) fn new() -> Self {
        Self(tokio::sync::OnceCell::new())
    }

    /// What was made, or is made now, where it may block.
    pub(super) async fn get(
        &self,
        make: impl FnOnce() -> Result<T, SinkError> + Send + 'static,
    ) -> Result<Arc<T>, SinkError> {
        let made = self
            .0
            .get_or_try_init(async || crate::files::blocking(make).await.map(Arc::new))
            .await?;
        Ok(Arc::clone(made))
    }
}
