//! What the URL of an objects sink and its options mean.

use std::{collections::BTreeMap, fmt, path::Path as FilePath, sync::Arc, time::Duration};

use bytes::Bytes;
use distjob_runtime::config::Recipe;
use object_store::{
    Certificate, ClientOptions, ObjectStore, ObjectStoreScheme, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    azure::{AzureConfigKey, MicrosoftAzureBuilder},
    gcp::{GoogleCloudStorageBuilder, GoogleConfigKey},
    path::Path,
};
use reqwest::Url;

use super::{parts::Upload, server::Server};
use crate::{
    config::ObjectsConfig,
    sink::{SinkError, http},
};

/// How often the client of a store repeats a request by itself.
const RETRIES_MAX: usize = 3;
/// And for how long: credentials and signatures are not made anew.
const RETRYING_MAX: Duration = Duration::from_secs(120);

/// What is put somewhere.
#[derive(Clone, Debug)]
pub(super) enum Content<'a> {
    /// These bytes.
    Bytes(Bytes),
    /// What is in this file.
    File(&'a FilePath),
}

/// Where objects go.
pub(super) struct Place {
    /// The URL, without a slash at its end.
    url: String,
    target: Target,
}

enum Target {
    Store {
        store: Arc<dyn ObjectStore>,
        prefix: Path,
        part_size: u64,
    },
    Server(Server),
}

/// Keys of `[sink.objects]`, with what is wrong.
type Problem = (String, String);

impl Place {
    /// The place that the URL names, with these values of its options. Reads the file of authorities, and connects to
    /// nothing yet; `timeout` is for one request.
    pub(super) fn new(
        config: &ObjectsConfig,
        options: &BTreeMap<String, String>,
        timeout: Duration,
    ) -> Result<Self, Problem> {
        http::prepare_tls();
        let (url, kind) = Kind::of(&config.url)?;
        let place = |target| Self {
            url: config.url.trim_end_matches('/').to_owned(),
            target,
        };
        if kind == Kind::Server {
            return Server::new(&url, options, &config.ca_file, timeout)
                .map(|server| place(Target::Server(server)));
        }
        let prefix = prefix(&url)?;
        let pem = http::authorities(&config.ca_file).map_err(|why| ("ca_file".to_owned(), why))?;
        let client = client_options(&pem, timeout).map_err(|why| ("ca_file".to_owned(), why))?;
        let store = kind
            .store(url.as_str(), options, client, retries(timeout))
            .map_err(|error| {
                (
                    "options".to_owned(),
                    format!("cannot be used: {}", http::chain(&error)),
                )
            })?;
        Ok(place(Target::Store {
            store,
            prefix,
            part_size: config.part_size,
        }))
    }

    /// The URL of what is called `name`.
    pub(super) fn shown(&self, name: &str) -> String {
        format!("{}/{name}", self.url)
    }

    /// Puts an object of that name there, or replaces it.
    ///
    /// # Cancel safety
    /// Dropping the future may leave parts that nobody sees, and of a server what the server makes of it.
    pub(super) async fn put(&self, name: &str, content: Content<'_>) -> Result<(), SinkError> {
        let what = || format!("put {}", self.shown(name));
        match &self.target {
            Target::Server(server) => server.put(name, &content, what()).await,
            Target::Store {
                store,
                prefix,
                part_size,
            } => {
                let path = name.split('/').fold(prefix.clone(), Path::join);
                let upload = Upload {
                    store: &**store,
                    path: &path,
                    part_size: *part_size,
                    media_type: media_type(name),
                };
                upload
                    .put(&content)
                    .await
                    .map_err(|why| SinkError::new(what()).because(without_queries(&why)))
            }
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Place").field(&self.url).finish()
    }
}

/// What kind of place a URL names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    S3,
    Gcs,
    Azure,
    Server,
}

impl Kind {
    fn of(text: &str) -> Result<(Url, Self), Problem> {
        let bad = |why: &str| ("url".to_owned(), why.to_owned());
        let url: Url = text
            .parse()
            .map_err(|_| bad("is no URL such as \"s3://bucket/prefix\""))?;
        if url.scheme() == "file" {
            return Err(bad(
                "names files: those are for kind = \"directory\", which syncs them",
            ));
        }
        if url.password().is_some() || url.query().is_some() {
            return Err(bad("must not hold a password or a query: options are for that"));
        }
        let kind = match ObjectStoreScheme::parse(&url) {
            Ok((ObjectStoreScheme::AmazonS3, _)) => Self::S3,
            Ok((ObjectStoreScheme::GoogleCloudStorage, _)) => Self::Gcs,
            Ok((ObjectStoreScheme::MicrosoftAzure, _)) => Self::Azure,
            Ok((ObjectStoreScheme::Http, _)) => Self::Server,
            _ => {
                return Err(bad(
                    "must begin with s3://, gs://, az://, https:// or http://, and name a bucket or a host",
                ));
            }
        };
        Ok((url, kind))
    }

    /// Whether there is such an option.
    fn knows(self, option: &str) -> bool {
        let option = option.to_ascii_lowercase();
        match self {
            Self::S3 => option.parse::<AmazonS3ConfigKey>().is_ok(),
            Self::Gcs => option.parse::<GoogleConfigKey>().is_ok(),
            Self::Azure => option.parse::<AzureConfigKey>().is_ok(),
            Self::Server => Server::OPTIONS.contains(&&*option),
        }
    }

    /// Some of the options that there are.
    const fn examples(self) -> &'static str {
        match self {
            Self::S3 => "aws_access_key_id, aws_secret_access_key, aws_region, aws_endpoint and allow_http",
            Self::Gcs => "google_service_account and google_service_account_key",
            Self::Azure => "azure_storage_account_name and azure_storage_account_key",
            Self::Server => "username, password and bearer_token",
        }
    }

    fn store(
        self,
        url: &str,
        options: &BTreeMap<String, String>,
        client: ClientOptions,
        retries: RetryConfig,
    ) -> object_store::Result<Arc<dyn ObjectStore>> {
        /// The builders are alike, and have no trait in common.
        macro_rules! built {
            ($builder:ty, $key:ty) => {{
                let builder = <$builder>::new()
                    .with_url(url)
                    .with_retry(retries)
                    .with_client_options(client);
                let builder = options.iter().try_fold(builder, |builder, (key, value)| {
                    let key = key.to_ascii_lowercase().parse::<$key>()?;
                    Ok::<_, object_store::Error>(builder.with_config(key, value))
                })?;
                Ok(Arc::new(builder.build()?))
            }};
        }
        match self {
            Self::S3 => built!(AmazonS3Builder, AmazonS3ConfigKey),
            Self::Gcs => built!(GoogleCloudStorageBuilder, GoogleConfigKey),
            Self::Azure => built!(MicrosoftAzureBuilder, AzureConfigKey),
            Self::Server => Err(object_store::Error::NotSupported {
                source: "a server is no store".into(),
            }),
        }
    }
}

/// The values of the options as they are now. Blocks: they may be in files.
pub(super) fn options(config: &ObjectsConfig) -> Result<BTreeMap<String, String>, Problem> {
    let values = config.options.iter().map(|(name, value)| {
        let value = Recipe::parse(value).text();
        let value = value.map_err(|missing| (format!("options.{name}"), format!("names {missing}")))?;
        Ok((name.clone(), value))
    });
    values.collect()
}

/// The options that there are not.
pub(super) fn unknown_options(config: &ObjectsConfig) -> Vec<Problem> {
    let Ok((_, kind)) = Kind::of(&config.url) else {
        // That is reported first.
        return Vec::new();
    };
    let unknown = config.options.keys().filter(|name| !kind.knows(name));
    unknown
        .map(|name| {
            (
                format!("options.{name}"),
                format!("is no option of this kind of url; there are {}", kind.examples()),
            )
        })
        .collect()
}

/// Where the URL points to in its bucket.
fn prefix(url: &Url) -> Result<Path, Problem> {
    let bad = |why: String| ("url".to_owned(), format!("cannot be used: {why}"));
    let (_, path) = ObjectStoreScheme::parse(url).map_err(|error| bad(error.to_string()))?;
    Ok(path)
}

fn client_options(pem: &[u8], timeout: Duration) -> Result<ClientOptions, String> {
    let options = ClientOptions::new()
        .with_timeout(timeout)
        .with_connect_timeout(http::CONNECT_TIMEOUT)
        .with_user_agent(reqwest::header::HeaderValue::from_static(http::AGENT));
    let authorities = Certificate::from_pem_bundle(pem).map_err(|error| error.to_string())?;
    Ok(authorities
        .into_iter()
        .fold(options, ClientOptions::with_root_certificate))
}

fn retries(timeout: Duration) -> RetryConfig {
    RetryConfig {
        max_retries: RETRIES_MAX,
        retry_timeout: timeout.min(RETRYING_MAX),
        ..RetryConfig::default()
    }
}

/// What the name says of the content.
pub(super) fn media_type(name: &str) -> &'static str {
    let (_, ending) = name.rsplit_once('.').unwrap_or_default();
    match ending {
        "json" => "application/json",
        "jsonl" => "application/x-ndjson",
        "csv" => "text/csv",
        "gz" => "application/gzip",
        "zst" => "application/zstd",
        "zip" => "application/zip",
        _ => "application/octet-stream",
    }
}

/// The text with what follows a `?` in its URLs left out: stores sign URLs with secrets there.
fn without_queries(text: &str) -> String {
    let words = text.split(' ').map(|word| match word.split_once('?') {
        Some((url, query)) if url.contains("://") => {
            let end = query
                .rfind(|c: char| c.is_alphanumeric())
                .map_or("", |at| &query[at + 1..]);
            format!("{url}?***{end}")
        }
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_in_urls_are_not_shown() {
        for (text, expected) in [
            ("PUT https://a.b/c?sig=x%2F: 500", "PUT https://a.b/c?***: 500"),
            ("what?! https://a.b/c", "what?! https://a.b/c"),
        ] {
            assert_eq!(without_queries(text), expected);
        }
    }
}
