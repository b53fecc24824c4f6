//! Real servers, one of each as a child process: started on a free port of 127.0.0.1 or in a given [`Place`], stopped,
//! killed, paused, and started again on the same port with the same data.

mod ensemble;
mod place;
pub mod redis;
mod s3;
pub mod zookeeper;

use std::fs;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

pub use self::ensemble::{Ensemble, Seat};
pub use self::place::Place;
pub use self::redis::{AppendOnly, Redis};
pub use self::s3::{S3, S3Kind};
pub use self::zookeeper::ZooKeeper;
use crate::child::Child;

/// A cold JVM on a loaded machine takes seconds.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// Redis may write its file before it ends.
const STOPPED_WITHIN: Duration = Duration::from_secs(15);
/// Starts on a fresh port before the port is taken to be not the reason.
const STARTS: usize = 4;

/// What tells one kind of server from another.
pub trait Kind: Send + Sync {
    /// Names its log files and errors.
    const NAME: &'static str;

    /// The command that serves at `listen` with all its files in `dir`, in the foreground.
    fn command(&self, dir: &Path, listen: SocketAddr) -> Result<Command>;

    /// Whether the server serves requests. False while nobody listens.
    fn answers(&self, addr: SocketAddr) -> impl Future<Output = bool> + Send;
}

/// A server of one kind. Its process dies with this value, and with this process.
///
/// The methods take `&self`, so that a test can act on a server while others wait on it; starting and ending it are
/// for one caller at a time.
#[derive(Debug)]
pub struct Server<K> {
    kind: K,
    dir: PathBuf,
    place: Place,
    child: Mutex<Option<Arc<Child>>>,
}

impl<K: Kind> Server<K> {
    /// Starts a server on a free port with its files in `dir`, which is created, and returns when it serves.
    pub(crate) async fn start_kind(dir: &Path, kind: impl Fn() -> K) -> Result<Server<K>> {
        fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        let mut refused = None;
        for _ in 0..STARTS {
            let server = Server::in_place(dir, kind(), Place::reserve()?);
            match server.start().await {
                Ok(()) => return Ok(server),
                // It ended by itself: perhaps somebody took the port since it was found free.
                Err(error) if !server.is_running() => refused = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(refused.context("no start was tried")?)
    }

    fn in_place(dir: &Path, kind: K, place: Place) -> Server<K> {
        Server {
            kind,
            dir: dir.to_owned(),
            place,
            child: Mutex::default(),
        }
    }

    /// Starts a stopped or killed server again, on its port and with its data, and returns when it serves.
    pub async fn start(&self) -> Result<()> {
        self.launch()?;
        self.ready().await
    }

    fn launch(&self) -> Result<()> {
        if self.is_running() {
            bail!("{} runs already", K::NAME);
        }
        let command = self.kind.command(&self.dir, self.addr())?;
        let child = Child::spawn(K::NAME, self.place.dress(command), &self.dir)?;
        *self.child.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(child));
        Ok(())
    }

    async fn ready(&self) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        let child = self.child()?;
        // Neither server has an event for this that outlives the choice of a log format.
        while !self.kind.answers(self.addr()).await {
            if let Some(status) = child.exit_status() {
                child.wait(Duration::ZERO).await?;
                bail!(
                    "{} ended with {status}; its last lines:\n{}",
                    K::NAME,
                    last_lines(&child)
                );
            }
            if Instant::now() > deadline {
                bail!(
                    "{} did not serve within {READY_WITHIN:?}; its last lines:\n{}",
                    K::NAME,
                    last_lines(&child)
                );
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// SIGTERM, and wait for the end: the server saves what it has.
    pub async fn stop(&self) -> Result<()> {
        let child = self.child()?;
        child.signal(Signal::TERM)?;
        child.wait(STOPPED_WITHIN).await.map(drop)
    }

    /// SIGKILL, and wait for the end.
    pub async fn kill(&self) -> Result<()> {
        self.child()?.kill().await
    }

    /// Stop, then start: same port, same data.
    pub async fn restart(&self) -> Result<()> {
        self.stop().await?;
        self.start().await
    }

    /// SIGSTOP: connections stay open, the kernel accepts new ones, nothing is answered.
    pub fn pause(&self) -> Result<()> {
        self.child()?.signal(Signal::STOP)
    }

    /// SIGCONT: goes on after [`Server::pause`].
    pub fn resume(&self) -> Result<()> {
        self.child()?.signal(Signal::CONT)
    }

    /// Where it listens, also while it does not run.
    pub fn addr(&self) -> SocketAddr {
        self.place.addr()
    }

    /// Where its files are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The present or last process.
    pub fn child(&self) -> Result<Arc<Child>> {
        let child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        child
            .clone()
            .with_context(|| format!("{} was never started", K::NAME))
    }

    /// Whether its process is there, paused or not.
    pub fn is_running(&self) -> bool {
        self.child().is_ok_and(|child| child.exit_status().is_none())
    }
}

fn last_lines(child: &Child) -> String {
    format!("{}\n{}", child.stdout().tail(20), child.stderr().tail(20))
}
