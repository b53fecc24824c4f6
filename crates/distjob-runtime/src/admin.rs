//! Metrics and health over HTTP.
//!
//! | path | answer |
//! |---|---|
//! | `/metrics` | [`Metrics`] as text |
//! | `/healthz` | 200 while the main loop turns, else 503 |
//! | `/readyz` | 200 when every condition is met, else 503 and what is missing, one condition a line |
//!
//! There is no authentication: listen on the loopback interface, or on one that only the right people reach.
//! Nothing that happens here at run time stops the daemon.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::{debug, warn};

use crate::health::{Heartbeat, Readiness};
use crate::metrics::{self, Metrics};

const HEADER_BYTES_MAX: usize = 16 * 1024;

/// A pause after a failed accept, most likely for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// What others may take of this process.
#[derive(Clone, Copy, Debug)]
struct Limits {
    connections: usize,
    /// From the first byte of a request to the last of its headers.
    header_timeout: Duration,
    /// A connection serves one request and lives no longer than this, whatever the other side does.
    connection_timeout: Duration,
}

const LIMITS: Limits = Limits {
    connections: 32,
    header_timeout: Duration::from_secs(5),
    connection_timeout: Duration::from_secs(10),
};

/// What the listener answers from.
#[derive(Clone, Debug)]
pub struct AdminState {
    /// For `/metrics`.
    pub metrics: Metrics,
    /// For `/healthz`.
    pub heartbeat: Heartbeat,
    /// For `/readyz`.
    pub readiness: Readiness,
}

/// A bound listener.
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
    limits: Limits,
}

impl Admin {
    /// Binds `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// When it cannot be bound.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self {
            listener,
            limits: LIMITS,
        })
    }

    /// The address with the port that it got.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves for ever. Dropping the future closes all connections.
    pub async fn serve(self, state: AdminState) {
        let service = TowerToHyperService::new(router(state));
        let limits = self.limits;
        let permits = Arc::new(Semaphore::new(limits.connections));
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            // The permit first: whoever comes later waits in the backlog. The semaphore is never closed.
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
                return;
            };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let service = service.clone();
                    connections.spawn(async move {
                        serve_connection(stream, service, limits).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    warn!(%error, "admin listener cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

async fn serve_connection(stream: TcpStream, service: TowerToHyperService<Router>, limits: Limits) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(HEADER_BYTES_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(limits.connection_timeout, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "admin connection failed"),
        Err(_) => debug!("admin connection took too long"),
    }
}

fn router(state: AdminState) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .with_state(Arc::new(state))
}

async fn metrics(State(state): State<Arc<AdminState>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], state.metrics.to_text())
}

async fn health(State(state): State<Arc<AdminState>>) -> (StatusCode, String) {
    if state.heartbeat.is_alive() {
        (StatusCode::OK, "alive\n".to_owned())
    } else {
        let silence = state.heartbeat.silence().as_secs();
        let body = format!("the main loop has not turned for {silence} s\n");
        (StatusCode::SERVICE_UNAVAILABLE, body)
    }
}

async fn ready(State(state): State<Arc<AdminState>>) -> (StatusCode, String) {
    match state.readiness.verdict() {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(missing) => (StatusCode::SERVICE_UNAVAILABLE, format!("{missing}\n")),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::systemd::Notifier;

    const HOUR: Duration = Duration::from_secs(3600);

    struct Running {
        address: SocketAddr,
        state: AdminState,
        _server: JoinSet<()>,
    }

    async fn start(silence_max: Duration) -> Running {
        let state = AdminState {
            metrics: Metrics::for_program("toy-d", "1"),
            heartbeat: Heartbeat::new(Some(silence_max)),
            readiness: Readiness::new(Notifier::new()),
        };
        let mut admin = Admin::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        admin.limits.connection_timeout = Duration::from_millis(100);
        let address = admin.address().unwrap();
        let mut server = JoinSet::new();
        server.spawn(admin.serve(state.clone()));
        Running {
            address,
            state,
            _server: server,
        }
    }

    /// The status and the body of one request.
    async fn get(address: SocketAddr, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: admin\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    #[tokio::test]
    async fn metrics_are_served() {
        let running = start(HOUR).await;
        let (status, body) = get(running.address, "/metrics").await;
        assert_eq!(status, 200);
        assert!(
            body.contains("distjob_build_info") && body.ends_with("# EOF\n"),
            "{body}"
        );
        assert_eq!(get(running.address, "/other").await.0, 404);
    }

    #[tokio::test]
    async fn health_follows_the_main_loop() {
        let running = start(HOUR).await;
        assert_eq!(
            get(running.address, "/healthz").await,
            (200, "alive\n".to_owned())
        );
        let running = start(Duration::from_millis(1)).await;
        while running.state.heartbeat.is_alive() {
            tokio::task::yield_now().await;
        }
        let (status, body) = get(running.address, "/healthz").await;
        assert_eq!(status, 503);
        assert!(body.starts_with("the main loop has not turned for "), "{body}");
    }

    #[tokio::test]
    async fn readiness_gives_its_reasons() {
        let running = start(HOUR).await;
        let [session, store] = running.state.readiness.require(["zookeeper", "redis"]);
        session.met();
        store.unmet("connection refused");
        let unready = get(running.address, "/readyz").await;
        assert_eq!(unready, (503, "redis: connection refused\n".to_owned()));
        store.met();
        assert_eq!(get(running.address, "/readyz").await, (200, "ready\n".to_owned()));
    }

    #[tokio::test]
    async fn a_silent_connection_does_not_keep_others_out_for_ever() {
        let running = start(HOUR).await;
        let mut silent = Vec::new();
        for _ in 0..LIMITS.connections {
            silent.push(TcpStream::connect(running.address).await.unwrap());
        }
        assert_eq!(get(running.address, "/readyz").await.0, 503);
    }

    #[tokio::test]
    async fn an_address_in_use_is_an_error() {
        let running = start(HOUR).await;
        let error = Admin::bind(running.address).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
