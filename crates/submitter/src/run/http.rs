//! Jobs over HTTP.
//!
//! | request | answer |
//! |---|---|
//! | `POST /submit/<queue>` | the ids of the jobs that the body has become, once they are safe |
//! | `GET /jobs/<id>` | how far a job has come |
//!
//! How it looks from outside is told in [`crate::docs::http`]. There is no authentication: listen on the loopback interface,
//! or on one that only the right people reach, or behind a server that knows who is who.

mod answer;
mod look;
mod submit;

use std::{
    convert::Infallible,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use distjob_runtime::config::Listen;
use hyper::{Method, Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::task::JoinSet;
use tracing::{debug, info};

use self::answer::{Answer, Reply};
use super::{
    Hall,
    accept::{Listener, Spot, Stream},
    answers::Answers,
    config::HttpConfig,
};

/// Most bytes in the line and the headers of a request.
const HEADER_BYTES_MAX: usize = 32 << 10;

/// Most headers in a request.
const HEADERS_MAX: usize = 64;

/// How long a whole body may take at most.
const BODY_TIME_MAX: Duration = Duration::from_secs(900);

/// The listener, and what it answers from.
#[derive(Debug)]
pub(crate) struct Http {
    listener: Listener,
    server: Arc<Server>,
}

/// What the connections share.
#[derive(Debug)]
struct Server {
    hall: Hall,
    config: HttpConfig,
    answers: Answers,
    /// Requests that are being answered. Each comes to its end also when its connection does not live to see it: what is
    /// being committed must not be dropped.
    under_way: Mutex<JoinSet<()>>,
}

impl Http {
    /// Listens; `None` when that is switched off.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub(crate) async fn bind(
        hall: &Hall,
        config: &HttpConfig,
        answers: Answers,
    ) -> anyhow::Result<Option<Self>> {
        let Listen::On(address) = config.listen else {
            return Ok(None);
        };
        let listener = Listener::bind(&Spot::Tcp(address)).await;
        let listener =
            listener.with_context(|| format!("listen for HTTP on {address} (see [run.http] listen)"))?;
        info!("http intake on {}", listener.spot()?);
        let server = Server {
            hall: hall.clone(),
            config: config.clone(),
            answers,
            under_way: Mutex::default(),
        };
        Ok(Some(Self {
            listener,
            server: Arc::new(server),
        }))
    }

    /// Serves until the service is asked to stop, and returns when every request is answered.
    pub(crate) async fn serve(self) -> anyhow::Result<()> {
        let Self { listener, server } = self;
        let stop = server.hall.stop.clone();
        let most = server.config.connections;
        let attend = {
            let server = Arc::clone(&server);
            move |stream| Arc::clone(&server).attend(stream)
        };
        listener.serve(most, &stop, attend).await;
        let mut under_way = std::mem::take(&mut *server.under_way());
        while under_way.join_next().await.is_some() {}
        Ok(())
    }
}

impl Server {
    fn under_way(&self) -> std::sync::MutexGuard<'_, JoinSet<()>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves one connection, request after request.
    async fn attend(self: Arc<Self>, stream: Stream) {
        let service = service_fn(|request| {
            let server = Arc::clone(&self);
            async move { Ok::<_, Infallible>(server.surely_answer(request).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            // Also how long a connection may be idle.
            .header_read_timeout(self.config.timeout)
            .max_buf_size(HEADER_BYTES_MAX)
            .max_headers(HEADERS_MAX)
            // Who has nothing more to say may still listen.
            .half_close(true)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let stop = &self.hall.stop;
        let ended = tokio::select! {
            biased;
            ended = connection.as_mut() => ended,
            () = stop.requested() => {
                // After the request in hand.
                connection.as_mut().graceful_shutdown();
                match self.hall.desk.end.unless_requested(connection).await {
                    Some(ended) => ended,
                    None => return,
                }
            }
        };
        if let Err(error) = ended {
            debug!(%error, "http connection failed");
        }
    }

    /// Answers in a task of its own.
    async fn surely_answer(self: Arc<Self>, request: Request<Incoming>) -> Reply {
        let (sender, answer) = tokio::sync::oneshot::channel();
        let server = Arc::clone(&self);
        {
            let mut under_way = self.under_way();
            while under_way.try_join_next().is_some() {}
            under_way.spawn(async move {
                let answer = server.answer(request).await;
                server.answers.of("http", answer.status().to_string()).inc();
                // Nobody may be left who waits for it.
                let _ = sender.send(answer);
            });
        }
        let answer = answer.await.unwrap_or_else(|_| Answer::ending());
        answer.into_reply()
    }

    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let path = request.uri().path().to_owned();
        let mut parts = path.trim_start_matches('/').splitn(2, '/');
        match (parts.next(), parts.next()) {
            (Some("submit"), Some(queue)) if request.method() == Method::POST => {
                submit::submit(&self.hall, &self.config, queue, request).await
            }
            (Some("submit"), Some(_)) => Answer::not_allowed("POST"),
            (Some("jobs"), Some(id)) if [Method::GET, Method::HEAD].contains(request.method()) => {
                look::look(&self.hall, id).await
            }
            (Some("jobs"), Some(_)) => Answer::not_allowed("GET, HEAD"),
            _ => Answer::nothing_here(),
        }
    }
}
