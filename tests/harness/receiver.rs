//! An HTTP server that answers as a test says, down to the byte: what handlers post tasks to.

mod exchange;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::ports::Port;

/// A receiver on a port of its own. Dropping it closes all its connections.
#[derive(Debug)]
pub struct Receiver {
    addr: SocketAddr,
    _port: Port,
    desk: Arc<Desk>,
    accepting: JoinSet<()>,
}

/// A request, as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// Which of the receiver's connections it came by, from 0.
    pub connection: u64,
    /// Which of the connection's requests it is, from 0.
    pub nth: u64,
    /// `POST /path HTTP/1.1`.
    pub line: String,
    /// By name in lower case.
    pub headers: BTreeMap<String, String>,
    /// Its body.
    pub body: Vec<u8>,
}

impl Received {
    /// A header by its name in lower case; empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The body as text, with `?` for what is none.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// What a request is answered with: some bytes, and what comes then.
#[derive(Clone, Debug)]
pub struct Reply {
    bytes: Vec<u8>,
    then: Then,
}

/// What becomes of the connection when the bytes of a [`Reply`] are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Then {
    /// It waits for its next request.
    GoOn,
    /// It is closed in good order.
    Close,
    /// It is reset.
    Reset,
    /// It stays open, and nothing comes any more.
    Stall,
    /// These bytes come again and again, for as long as somebody reads them.
    Forever(Vec<u8>),
}

impl Reply {
    /// Status 200 with this body.
    pub fn ok(body: impl AsRef<[u8]>) -> Reply {
        Reply::status(200, &[], body)
    }

    /// A whole answer.
    pub fn status(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Reply {
        let body = body.as_ref();
        let mut head = format!("HTTP/1.1 {status} As Told\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        Reply::raw([head.as_bytes(), b"\r\n", body].concat())
    }

    /// These bytes, whatever they are.
    pub fn raw(bytes: impl AsRef<[u8]>) -> Reply {
        Reply {
            bytes: bytes.as_ref().to_owned(),
            then: Then::GoOn,
        }
    }

    /// The same, with another end.
    pub fn then(self, then: Then) -> Reply {
        Reply { then, ..self }
    }
}

type Script = dyn Fn(&Received) -> Reply + Send + Sync;

/// What the connections share.
struct Desk {
    script: Box<Script>,
    received: Mutex<Vec<Received>>,
    held: watch::Sender<bool>,
    accepted: AtomicU64,
    open: AtomicUsize,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk")
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}

impl Receiver {
    /// A receiver that answers each request with what `script` says.
    pub async fn start(script: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Result<Receiver> {
        Self::start_on(Ipv4Addr::LOCALHOST, script).await
    }

    /// As [`Receiver::start`], at another address of this machine.
    pub async fn start_on(
        ip: Ipv4Addr,
        script: impl Fn(&Received) -> Reply + Send + Sync + 'static,
    ) -> Result<Receiver> {
        let port = Port::reserve()?;
        let addr = SocketAddr::from((ip, port.number()));
        let listener = TcpListener::bind(addr).await;
        let listener = listener.with_context(|| format!("listen on {addr}"))?;
        let desk = Arc::new(Desk {
            script: Box::new(script),
            received: Mutex::default(),
            held: watch::Sender::new(false),
            accepted: AtomicU64::default(),
            open: AtomicUsize::default(),
            at_once: AtomicUsize::default(),
            most_at_once: AtomicUsize::default(),
        });
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, Arc::clone(&desk)));
        Ok(Receiver {
            addr,
            _port: port,
            desk,
            accepting,
        })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://<addr><path>`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr())
    }

    /// All requests so far, in the order in which they were complete.
    pub fn received(&self) -> Vec<Received> {
        self.desk
            .received
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// How many connections were made so far.
    pub fn connections(&self) -> u64 {
        self.desk.accepted.load(Ordering::Relaxed)
    }

    /// How many connections are open now. One whose other side closed it is not, as soon as that is seen.
    pub fn open(&self) -> usize {
        self.desk.open.load(Ordering::Relaxed)
    }

    /// How many requests wait for their answer now.
    pub fn at_once(&self) -> usize {
        self.desk.at_once.load(Ordering::Relaxed)
    }

    /// How many waited at the same time at most.
    pub fn most_at_once(&self) -> usize {
        self.desk.most_at_once.load(Ordering::Relaxed)
    }

    /// Answers nothing from now on, until [`Receiver::release`].
    pub fn hold(&self) {
        self.desk.held.send_replace(true);
    }

    /// Answers again, also what was asked meanwhile.
    pub fn release(&self) {
        self.desk.held.send_replace(false);
    }

    /// Goes away with all its connections, and keeps its port, so that connections are refused. What it received
    /// stays known.
    pub async fn shut(&mut self) {
        self.accepting.shutdown().await;
    }
}

async fn accept(listener: TcpListener, desk: Arc<Desk>) {
    // Ends its connections when it ends itself.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let number = desk.accepted.fetch_add(1, Ordering::Relaxed);
        connections.spawn(exchange::serve(stream, number, Arc::clone(&desk)));
        while connections.try_join_next().is_some() {}
    }
}
