//! The webhook sink: a URL that is told of each result.
//!
//! One POST a delivery. Its body is the [`Manifest`](super::Manifest), `application/json`. Its headers:
//!
//! | header | what |
//! |---|---|
//! | `Idempotency-Key` | `<id>.<life>`: the same for every delivery of this result, and for no other |
//! | `Distjob-Job`, `Distjob-Queue` | the job, and the kind of its work |
//! | `Distjob-Signature` | `t=<seconds since 1970>,v1=<hex of the HMAC-SHA256 of "<t>." and the body>`, where there is a secret |
//!
//! An expected status says that the receiver has it; anything else is a failure, and the delivery is repeated, not before
//! `Retry-After` has passed. The receiver may be told more than once: an answer may be lost. How a
//! receiver checks the signature is shown in [`docs::sinks`](crate::docs::sinks).

use std::{fmt, sync::Arc, time::Duration};

use distjob_runtime::{
    chance,
    config::Recipe,
    headers::{Headers, IDEMPOTENCY_KEY},
};
use futures::future::BoxFuture;
use reqwest::{
    Client, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use ring::hmac;
use tokio::time::timeout;

use super::{
    Location, Parcel, Sink, SinkError,
    http::{self, Lazy},
};
use crate::{config::WebhookConfig, files::blocking};

const JOB: HeaderName = HeaderName::from_static("distjob-job");
const QUEUE: HeaderName = HeaderName::from_static("distjob-queue");
const SIGNATURE: HeaderName = HeaderName::from_static("distjob-signature");

/// Tells a URL of results. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct WebhookSink(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: WebhookConfig,
    timeout: Duration,
    caller: Lazy<Caller>,
}

/// What it takes to call.
struct Caller {
    url: Url,
    client: Client,
    headers: Headers,
    secret: Recipe,
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, headers, .. } = self;
        f.debug_struct("Caller")
            .field("url", &http::shown(url))
            .field("headers", headers)
            .finish_non_exhaustive()
    }
}

impl WebhookSink {
    /// A sink as it is configured. A call takes at most `timeout`, its answer included.
    pub(super) fn new(config: &WebhookConfig, timeout: Duration) -> Self {
        Self(Arc::new(Inner {
            config: config.clone(),
            timeout,
            caller: Lazy::new(),
        }))
    }

    async fn tell(&self, parcel: &Parcel) -> Result<Location, SinkError> {
        let Inner {
            config,
            timeout: limit,
            caller,
        } = &*self.0;
        let make = config.clone();
        let caller = caller.get(move || Caller::new(&make)).await?;
        let what = format!("tell {} of the result", http::shown(&caller.url));
        match timeout(*limit, caller.call(parcel, &what, config)).await {
            Ok(told) => told,
            Err(_) => Err(SinkError::new(what).because(format!("no answer within {limit:?}"))),
        }
    }
}

impl Sink for WebhookSink {
    fn deliver(&self, parcel: Arc<Parcel>) -> BoxFuture<'static, Result<Location, SinkError>> {
        let sink = self.clone();
        Box::pin(async move { sink.tell(&parcel).await })
    }
}

impl Caller {
    /// As it is configured. Blocks: it reads files.
    fn new(config: &WebhookConfig) -> Result<Self, SinkError> {
        let broken = |key: &str, why: String| SinkError::new(format!("use webhook.{key}")).because(why);
        let url = http::place(&config.url).map_err(|why| broken("url", why))?;
        Ok(Self {
            client: http::client(&url, &config.ca_file).map_err(|why| broken("ca_file", why))?,
            headers: headers(config).map_err(|why| broken("headers", why))?,
            secret: Recipe::parse(&config.secret),
            url,
        })
    }

    async fn call(&self, parcel: &Parcel, what: &str, config: &WebhookConfig) -> Result<Location, SinkError> {
        let body = parcel.manifest.to_json();
        let mut headers = HeaderMap::clone(&*self.headers.current().await);
        headers.insert(IDEMPOTENCY_KEY, visible(&parcel.idempotency_key()));
        headers.insert(JOB, visible(parcel.job.as_str()));
        headers.insert(QUEUE, visible(parcel.queue.as_str()));
        if let Some(signature) = self.signature(&body).await? {
            headers.insert(SIGNATURE, visible(&signature));
        }
        let sent = self
            .client
            .post(self.url.clone())
            .headers(headers)
            .body(body)
            .send();
        let answer = sent
            .await
            .map_err(|error| http::unanswered(what.to_owned(), error))?;
        if config.expected.contains(answer.status().as_u16()) {
            return Ok(Location::new(http::shown(&self.url)));
        }
        Err(http::refused(what.to_owned(), answer).await)
    }

    /// The signature of a body that is sent now; none without a secret.
    async fn signature(&self, body: &[u8]) -> Result<Option<String>, SinkError> {
        let recipe = self.secret.clone();
        let secret = blocking(move || recipe.bytes()).await;
        let secret = secret
            .map_err(|missing| SinkError::new("sign").because(format!("webhook.secret names {missing}")))?;
        let now_s = chance::since_1970().as_secs();
        Ok((!secret.is_empty()).then(|| sign(&secret, now_s, body)))
    }
}

/// `t=<now>,v1=<hex>`.
fn sign(secret: &[u8], now_s: u64, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret));
    context.update(format!("{now_s}.").as_bytes());
    context.update(body);
    let hex: String = context
        .sign()
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("t={now_s},v1={hex}")
}

fn headers(config: &WebhookConfig) -> Result<Headers, String> {
    let mut defaults = HeaderMap::new();
    defaults.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Headers::new(&config.headers, defaults).map_err(|error| error.to_string())
}

/// Ids, queues, keys and signatures are visible ASCII by their types.
fn visible(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// What of `[sink.webhook]` cannot be used here and now: keys, with what is wrong with each.
pub(crate) fn problems(config: &WebhookConfig) -> Vec<(&'static str, String)> {
    let url = http::place(&config.url).err();
    let headers = headers(config).err();
    let secret = Recipe::parse(&config.secret).bytes().err();
    let trusted = http::authorities(&config.ca_file).err();
    [
        url.map(|error| ("url", error)),
        headers.map(|error| ("headers", format!("cannot be sent: {error}"))),
        secret.map(|missing| ("secret", format!("names {missing}"))),
        trusted.map(|error| ("ca_file", format!("cannot be used: {error}"))),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_what_the_documentation_says() {
        // hmac.new(b"secret", b'1700000000.{"a":1}', hashlib.sha256).hexdigest()
        assert_eq!(
            sign(b"secret", 1_700_000_000, b"{\"a\":1}"),
            "t=1700000000,v1=49f24e537407743fa4a0242bb63b94b9a47ee99cbbe071ccd8a22550ae411686"
        );
    }
}
