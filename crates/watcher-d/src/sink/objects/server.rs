//! How a file goes to an HTTP server: by PUT, as it is read, whatever its size.
//!
//! Directories that are missing are made where the server speaks WebDAV (RFC 4918, `MKCOL`).

use std::{
    collections::BTreeMap,
    path::Path as FilePath,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::TryStreamExt as _;
use reqwest::{
    Body, Client, Method, RequestBuilder, Response, StatusCode, Url,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};
use tokio::{fs::File, time::sleep};
use tokio_util::io::ReaderStream;

use super::place::{Content, media_type};
use crate::sink::{SinkError, http};

/// What servers answer when the directory of a file is missing: WebDAV has a conflict, rclone finds nothing there, and
/// nginx is surprised.
const NO_DIRECTORY: [StatusCode; 3] = [
    StatusCode::CONFLICT,
    StatusCode::NOT_FOUND,
    StatusCode::INTERNAL_SERVER_ERROR,
];

/// How much of a file is read at a time.
const CHUNK: usize = 64 << 10;

/// A server, and how it knows us.
#[derive(Debug)]
pub(super) struct Server {
    client: Client,
    base: Url,
    login: Login,
    /// For so long nothing may happen.
    patience: Duration,
}

enum Login {
    None,
    Basic {
        username: String,
        password: Option<String>,
    },
    Bearer(String),
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl Server {
    /// The options that there are.
    pub(super) const OPTIONS: &'static [&'static str] = &["bearer_token", "password", "username"];

    /// The server at this URL. Blocks: it reads files.
    pub(super) fn new(
        base: &Url,
        options: &BTreeMap<String, String>,
        ca_file: &FilePath,
        patience: Duration,
    ) -> Result<Self, (String, String)> {
        let base = http::place(base.as_str()).map_err(|why| ("url".to_owned(), why))?;
        let client = http::client(&base, ca_file).map_err(|why| ("ca_file".to_owned(), why))?;
        let option = |name: &str| options.get(name).filter(|value| !value.is_empty()).cloned();
        let login = match (option("username"), option("bearer_token")) {
            (Some(_), Some(_)) => {
                return Err((
                    "options".to_owned(),
                    "must not have both a username and a bearer_token".to_owned(),
                ));
            }
            (Some(username), None) => Login::Basic {
                username,
                password: option("password"),
            },
            (None, Some(token)) => Login::Bearer(token),
            (None, None) => Login::None,
        };
        Ok(Self {
            client,
            base,
            login,
            patience,
        })
    }

    /// Puts a file there.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection: what is there then is for the server to say.
    pub(super) async fn put(&self, name: &str, content: &Content<'_>, what: String) -> Result<(), SinkError> {
        let mut answer = self.try_put(name, content, &what).await?;
        let may_lack_directories = NO_DIRECTORY.contains(&answer.status());
        if may_lack_directories && self.make_directories(name, &what).await? {
            answer = self.try_put(name, content, &what).await?;
        }
        if answer.status().is_success() {
            return Ok(());
        }
        Err(http::refused(what, answer).await)
    }

    async fn try_put(&self, name: &str, content: &Content<'_>, what: &str) -> Result<Response, SinkError> {
        let sent = Arc::new(AtomicU64::new(0));
        let request = self
            .request(Method::PUT, self.url(name))
            .header(CONTENT_TYPE, media_type(name));
        let request = match content {
            Content::Bytes(bytes) => request.body(bytes.clone()),
            Content::File(path) => {
                let (length, body) = body(path, Arc::clone(&sent))
                    .await
                    .map_err(|error| SinkError::at("read", path, error))?;
                request.header(CONTENT_LENGTH, length).body(body)
            }
        };
        tokio::select! {
            biased;
            answer = request.send() => answer.map_err(|error| http::unanswered(what.to_owned(), error)),
            () = stalled(&sent, self.patience) => {
                Err(SinkError::new(what).because(format!("nothing happened for {:?}", self.patience)))
            }
        }
    }

    /// Makes the directories that a name needs, from the top. Whether the server took at least one `MKCOL` for what it is:
    /// otherwise it knows no directories, or not from us.
    async fn make_directories(&self, name: &str, what: &str) -> Result<bool, SinkError> {
        let Some((directories, _)) = name.rsplit_once('/') else {
            return self.make_directory("", what).await;
        };
        let mut is_understood = self.make_directory("", what).await?;
        let ends = directories
            .match_indices('/')
            .map(|(at, _)| at)
            .chain([directories.len()]);
        for end in ends {
            is_understood |= self.make_directory(&directories[..end], what).await?;
        }
        Ok(is_understood)
    }

    async fn make_directory(&self, name: &str, what: &str) -> Result<bool, SinkError> {
        let method = Method::from_bytes(b"MKCOL").unwrap_or(Method::PUT);
        let mut url = self.url(name);
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        let made = tokio::time::timeout(self.patience, self.request(method, url).send()).await;
        match made {
            Ok(Ok(answer)) => Ok(answer.status().is_success()),
            Ok(Err(error)) => Err(http::unanswered(what.to_owned(), error)),
            Err(_) => Err(SinkError::new(what).because("no answer to MKCOL".to_owned())),
        }
    }

    fn request(&self, method: Method, url: Url) -> RequestBuilder {
        let request = self.client.request(method, url);
        match &self.login {
            Login::None => request,
            Login::Basic { username, password } => request.basic_auth(username, password.as_ref()),
            Login::Bearer(token) => request.bearer_auth(token),
        }
    }

    fn url(&self, name: &str) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments
                .pop_if_empty()
                .extend(name.split('/').filter(|part| !part.is_empty()));
        }
        url
    }
}

/// How long a file is, and its content, which counts in `sent` as it goes.
async fn body(path: &FilePath, sent: Arc<AtomicU64>) -> std::io::Result<(u64, Body)> {
    let file = File::open(path).await?;
    let length = file.metadata().await?.len();
    let chunks = ReaderStream::with_capacity(file, CHUNK).inspect_ok(move |chunk| {
        sent.fetch_add(chunk.len() as u64, Ordering::Relaxed);
    });
    Ok((length, Body::wrap_stream(chunks)))
}

/// Returns when nothing more was sent for so long.
async fn stalled(sent: &AtomicU64, patience: Duration) {
    let mut before = sent.load(Ordering::Relaxed);
    loop {
        sleep(patience).await;
        let now = sent.load(Ordering::Relaxed);
        if now == before {
            return;
        }
        before = now;
    }
}
