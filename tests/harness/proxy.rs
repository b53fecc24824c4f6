//! A TCP proxy that does to a connection what networks do, at the moment a test chooses.
//!
//! It reads the protocol of the server behind it far enough to tell requests and replies apart and to know which reply
//! belongs to which request. So it can let a request through, wait until its reply proves that the server has done the
//! work, and lose exactly this reply; replies to requests sent before it pass untouched.

mod connection;
mod fault;
mod line;
mod wire;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::fault::Faults;
pub use self::fault::{Effect, Fault, Trigger};
pub use self::wire::Wire;
use crate::ports::Port;
use crate::servers::{Redis, ZooKeeper};

/// One way through the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Client to server.
    Requests,
    /// Server to client.
    Replies,
}

/// How bytes fare at present, in all connections.
#[derive(Debug, Clone, Copy, Default)]
struct Weather {
    requests_held: bool,
    replies_held: bool,
    delay: Duration,
}

impl Weather {
    fn holds(&self, direction: Direction) -> bool {
        match direction {
            Direction::Requests => self.requests_held,
            Direction::Replies => self.replies_held,
        }
    }
}

/// A proxy on a port of its own in front of one server. Dropping it closes all its connections.
#[derive(Debug)]
pub struct Proxy {
    port: Port,
    lobby: Arc<Lobby>,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

/// What the connections share.
#[derive(Debug)]
struct Lobby {
    upstream: Mutex<SocketAddr>,
    wire: Wire,
    weather: watch::Sender<Weather>,
    faults: Faults,
    /// Numbers the connections.
    accepted: AtomicU64,
    /// How to cut each open connection.
    open: Mutex<HashMap<u64, CancellationToken>>,
}

impl Proxy {
    /// A proxy for ZooKeeper clients.
    pub async fn for_zookeeper(server: &ZooKeeper) -> Result<Proxy> {
        Proxy::start(server.addr(), Wire::ZooKeeper).await
    }

    /// A proxy for Redis clients.
    pub async fn for_redis(server: &Redis) -> Result<Proxy> {
        Proxy::start(server.addr(), Wire::Redis).await
    }

    /// A proxy in front of `upstream`, which need not be up and which speaks `wire`.
    pub async fn start(upstream: SocketAddr, wire: Wire) -> Result<Proxy> {
        let lobby = Arc::new(Lobby {
            upstream: Mutex::new(upstream),
            wire,
            weather: watch::Sender::default(),
            faults: Faults::default(),
            accepted: AtomicU64::default(),
            open: Mutex::default(),
        });
        let proxy = Proxy {
            port: Port::reserve()?,
            lobby,
            accepting: Mutex::default(),
        };
        proxy.accept().await?;
        Ok(proxy)
    }

    /// Where clients connect to, as `host:port`.
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// `redis://127.0.0.1:<port>`.
    pub fn redis_url(&self) -> String {
        format!("redis://{}", self.addr())
    }

    /// Lets `effect` befall the requests that `trigger` chooses, in any connection, from now on.
    pub fn arm(&self, effect: Effect, trigger: Trigger) -> Fault {
        self.lobby.faults.arm(effect, trigger)
    }

    /// The next request that contains `text` is done by the server; its reply never arrives, its connection breaks.
    pub fn lose_reply(&self, text: &str) -> Fault {
        self.arm(Effect::LoseReply, Trigger::containing(text))
    }

    /// The next request that contains `text` never arrives, its connection breaks.
    pub fn lose_request(&self, text: &str) -> Fault {
        self.arm(Effect::LoseRequest, Trigger::containing(text))
    }

    /// Breaks all connections of now. New ones are accepted.
    pub fn cut(&self) {
        for (_, cut) in self
            .lobby
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain()
        {
            cut.cancel();
        }
    }

    /// Refuses new connections, as if nobody listened. Those of now live on: `cut` them to be a server that is down.
    pub async fn refuse(&self) {
        let accepting = self
            .accepting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(accepting) = accepting {
            accepting.abort();
            // The port is closed once the task is really gone.
            let _ = accepting.await;
        }
    }

    /// Accepts connections again after [`Proxy::refuse`].
    pub async fn accept(&self) -> Result<()> {
        self.refuse().await;
        let listener = TcpListener::bind(self.addr())
            .await
            .context("listen for a proxy")?;
        let accepting = tokio::spawn(accept_all(listener, Arc::clone(&self.lobby)));
        *self.accepting.lock().unwrap_or_else(PoisonError::into_inner) = Some(accepting);
        Ok(())
    }

    /// Forwards nothing in this direction any more; connections stay open, and new ones are accepted. The bytes wait, as
    /// they do when a network partition heals in time; [`Proxy::cut`] loses them.
    pub fn hold(&self, direction: Direction) {
        self.lobby.weather.send_modify(|weather| match direction {
            Direction::Requests => weather.requests_held = true,
            Direction::Replies => weather.replies_held = true,
        });
    }

    /// A black hole: [`Proxy::hold`] in both directions.
    pub fn hold_all(&self) {
        self.hold(Direction::Requests);
        self.hold(Direction::Replies);
    }

    /// Ends [`Proxy::hold`] in this direction: what waited goes on.
    pub fn release(&self, direction: Direction) {
        self.lobby.weather.send_modify(|weather| match direction {
            Direction::Requests => weather.requests_held = false,
            Direction::Replies => weather.replies_held = false,
        });
    }

    /// Stands in front of another server, as a name does that was pointed elsewhere, and breaks all connections of now.
    pub fn retarget(&self, upstream: SocketAddr) {
        *self.lobby.upstream.lock().unwrap_or_else(PoisonError::into_inner) = upstream;
        self.cut();
    }

    /// Forwards everything at once again: ends hold and delay.
    pub fn pass(&self) {
        self.lobby.weather.send_replace(Weather::default());
    }

    /// Lets everything arrive later by `delay`, in both directions, in order. A round trip takes twice as much longer.
    pub fn delay(&self, delay: Duration) {
        self.lobby.weather.send_modify(|weather| weather.delay = delay);
    }

    /// How many connections are open.
    pub fn connection_count(&self) -> usize {
        self.lobby
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(accepting) = self.accepting.get_mut().unwrap_or_else(PoisonError::into_inner) {
            accepting.abort();
        }
        self.cut();
    }
}

async fn accept_all(listener: TcpListener, lobby: Arc<Lobby>) {
    loop {
        // An error concerns the one connection that came and went.
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        let lobby = Arc::clone(&lobby);
        let number = lobby.accepted.fetch_add(1, Ordering::Relaxed);
        let cut = CancellationToken::new();
        lobby
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(number, cut.clone());
        tokio::spawn(async move {
            // With the server down the client sees its connection accepted and closed.
            let upstream = *lobby.upstream.lock().unwrap_or_else(PoisonError::into_inner);
            if let Ok(server) = TcpStream::connect(upstream).await {
                cut.run_until_cancelled(connection::serve(client, server, &lobby, &cut))
                    .await;
            }
            lobby
                .open
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&number);
        });
    }
}
