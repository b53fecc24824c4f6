//! One POST after the other to one place, over connections that are kept.
//!
//! The pool holds what was in use at some time, so never more connections than tasks that run at once. A connection
//! belongs to the exchange that uses it: an exchange that is dropped, or that leaves a part of the answer unread, closes it.
//!
//! No redirect is followed, no proxy asked (whatever the environment says), no cookie kept.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::{HeaderMap, Method, Request, Response, StatusCode, body::Incoming, header::HOST};
use thiserror::Error;
use tokio::time::Instant;

use super::{
    connect::{Connection, Connector},
    place::Place,
};

/// A connection that nobody used for so long is closed: shorter than what common load balancers and firewalls keep.
pub(super) const IDLE_MAX: Duration = Duration::from_secs(30);

/// Posts to one place.
#[derive(Debug)]
pub(super) struct Client {
    place: Place,
    connector: Connector,
    /// Those that may be used again; the one used last at the end.
    idle: Mutex<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Instant,
}

/// What was answered.
#[derive(Debug)]
pub(super) struct Answer {
    /// The status.
    pub(super) status: StatusCode,
    /// The headers.
    pub(super) headers: HeaderMap,
    /// The body, or its start.
    pub(super) body: Bytes,
    /// How the body ended.
    pub(super) end: BodyEnd,
}

/// How the body of an answer ended.
#[derive(Debug)]
pub(super) enum BodyEnd {
    /// It is whole.
    Whole,
    /// It was longer than asked for, and the rest left unread.
    TooLong,
    /// The connection broke in it.
    Broken(hyper::Error),
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub(super) enum ExchangeError {
    /// There was no connection to be had.
    #[error(transparent)]
    Connect(#[from] super::connect::ConnectError),
    /// It broke before the head of the answer was there.
    #[error("no answer: {}", chain(.0))]
    Broken(#[source] hyper::Error),
}

impl Client {
    /// A client without a connection.
    pub(super) fn new(place: Place, connector: Connector) -> Self {
        Self {
            place,
            connector,
            idle: Mutex::default(),
        }
    }

    /// Posts `body`, and reads at most `limit(status)` bytes of the answer's body.
    ///
    /// A connection that was idle may be one that the other side has just closed. When such a one breaks before the answer, the
    /// request is sent once more, on a fresh one: the receiver may see it twice, as it may after any lost answer.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection; the request may have been received.
    pub(super) async fn post(
        &self,
        headers: HeaderMap,
        body: Bytes,
        limit: impl Fn(StatusCode) -> u64,
    ) -> Result<Answer, ExchangeError> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.place.target();
        *request.headers_mut() = headers;
        request
            .headers_mut()
            .entry(HOST)
            .or_insert_with(|| self.place.host());
        if let Some(mut connection) = self.take() {
            match connection.send(request.clone()).await {
                Ok(response) => return Ok(self.finish(connection, response, limit).await),
                Err(error) if was_stale(&error) => {
                    tracing::debug!(%error, "a kept connection was closed: sending the request again");
                }
                Err(error) => return Err(ExchangeError::Broken(error)),
            }
        }
        let mut connection = self.connector.connect(&self.place).await?;
        let response = connection.send(request).await.map_err(ExchangeError::Broken)?;
        Ok(self.finish(connection, response, limit).await)
    }

    /// Reads the body, and keeps the connection when nothing is left in it.
    async fn finish(
        &self,
        connection: Connection,
        response: Response<Incoming>,
        limit: impl Fn(StatusCode) -> u64,
    ) -> Answer {
        let (head, incoming) = response.into_parts();
        let (body, end) = read(incoming, limit(head.status)).await;
        if matches!(end, BodyEnd::Whole) {
            self.keep(connection);
        }
        Answer {
            status: head.status,
            headers: head.headers,
            body,
            end,
        }
    }

    /// A kept connection that is not known to be closed.
    fn take(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        idle.retain(|idle| now - idle.since < IDLE_MAX && !idle.connection.is_closed());
        idle.pop().map(|idle| idle.connection)
    }

    fn keep(&self, connection: Connection) {
        if connection.is_closed() {
            return;
        }
        let since = Instant::now();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(Idle { connection, since });
    }
}

/// Reads a body up to `limit` bytes.
async fn read(mut incoming: Incoming, limit: u64) -> (Bytes, BodyEnd) {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut body = BytesMut::new();
    while let Some(frame) = incoming.frame().await {
        let data = match frame.map(hyper::body::Frame::into_data) {
            Ok(Ok(data)) => data,
            // Trailers.
            Ok(Err(_)) => continue,
            Err(error) => return (body.freeze(), BodyEnd::Broken(error)),
        };
        let room = limit - body.len();
        if data.len() > room {
            body.extend_from_slice(&data[..room]);
            return (body.freeze(), BodyEnd::TooLong);
        }
        body.extend_from_slice(&data);
    }
    (body.freeze(), BodyEnd::Whole)
}

/// Whether a request may have met a connection that the other side had closed, rather than a receiver that answers nonsense.
fn was_stale(error: &hyper::Error) -> bool {
    !error.is_parse() && !error.is_user()
}

/// The error with its causes, which hyper leaves to be asked for.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<_> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}
