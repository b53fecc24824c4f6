//! A few multiplexed connections that are made, used and given up together.
//!
//! They are made when somebody needs them. A set of them is a *generation*; its number tells users that replies may
//! have been lost in between. After a failure the next attempt waits longer each time, up to [`DELAY_MAX`]; until then
//! every call fails at once with the error of the last attempt.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use redis::RedisError;
use tokio::{sync::watch, time::Instant};

use super::{Dial, Line, error::spoils_connection, line::Lines, retry::backoff};

/// Longest wait between two attempts to connect.
pub(super) const DELAY_MAX: Duration = Duration::from_secs(2);

/// So many replies in a row that are late, in one connection, give up all.
const TIMEOUTS_MAX: u32 = 2;

/// How the store can be reached, as the last call saw it.
#[derive(Clone, Debug, Default)]
pub struct ConnectionState {
    /// How often connections were made. When it grows, replies may have been lost before.
    pub generation: u64,
    /// Whether they are thought to be usable.
    pub connected: bool,
    /// Why the last ones were given up or could not be made. Forgotten when connecting succeeds.
    pub last_error: Option<RedisError>,
}

/// Connections that were made together.
pub(super) struct Generation {
    number: u64,
    lines: Vec<Tested>,
    /// Whether a command succeeded.
    proven: AtomicBool,
}

/// One connection of a generation.
struct Tested {
    line: Box<dyn Line>,
    /// Late replies in a row. Those of the other connections say nothing of this one.
    timeouts: AtomicU32,
}

impl Generation {
    /// The connection for a job, or whatever else, with this hash.
    pub(super) fn line(&self, hash: u64) -> &dyn Line {
        &*self.tested(hash).line
    }

    fn tested(&self, hash: u64) -> &Tested {
        &self.lines[(hash % self.lines.len() as u64) as usize]
    }
}

pub(super) struct Connections {
    dial: Arc<dyn Dial>,
    count: usize,
    link: Mutex<Link>,
    /// Held while connecting: one attempt serves all who wait.
    attempt: tokio::sync::Mutex<()>,
    state: watch::Sender<ConnectionState>,
}

#[derive(Default)]
struct Link {
    current: Option<Arc<Generation>>,
    made: u64,
    /// Generations in a row that could not be made or never served.
    failures: u32,
    /// When to try again, and the error until then.
    refused_until: Option<(Instant, RedisError)>,
}

impl Connections {
    pub(super) fn new(dial: Arc<dyn Dial>, count: usize) -> Self {
        Self {
            dial,
            count: count.max(1),
            link: Mutex::default(),
            attempt: tokio::sync::Mutex::default(),
            state: watch::Sender::default(),
        }
    }

    pub(super) fn watch(&self) -> watch::Receiver<ConnectionState> {
        self.state.subscribe()
    }

    /// The current generation; makes one when there is none and it is time to.
    pub(super) async fn current(&self) -> Result<Arc<Generation>, RedisError> {
        if let Some(found) = self.ready() {
            return found;
        }
        let _attempt = self.attempt.lock().await;
        // Who waited for the lock takes what the attempt before it brought.
        if let Some(found) = self.ready() {
            return found;
        }
        match self.dial.dial(self.count).await {
            Ok(lines) => Ok(self.connected(lines)),
            Err(error) => {
                let mut link = self.link();
                link.fail(&error);
                self.publish(&link, Some(&error));
                Err(error)
            }
        }
    }

    fn ready(&self) -> Option<Result<Arc<Generation>, RedisError>> {
        let link = self.link();
        if let Some(generation) = &link.current {
            return Some(Ok(Arc::clone(generation)));
        }
        let (until, error) = link.refused_until.as_ref()?;
        (*until > Instant::now()).then(|| Err(error.clone()))
    }

    fn connected(&self, lines: Lines) -> Arc<Generation> {
        let mut link = self.link();
        link.made += 1;
        link.refused_until = None;
        let tested = |line| Tested {
            line,
            timeouts: AtomicU32::new(0),
        };
        let generation = Arc::new(Generation {
            number: link.made,
            lines: lines.into_iter().map(tested).collect(),
            proven: AtomicBool::new(false),
        });
        link.current = Some(Arc::clone(&generation));
        self.publish(&link, None);
        tracing::info!(generation = generation.number, "connected to the job store");
        generation
    }

    /// Notes how a call on the connection for `hash` of `generation` ended: with an answer, be it one that makes no
    /// sense, or with an error, which gives the generation up when it is of no use any more.
    pub(super) fn used(&self, generation: &Generation, hash: u64, error: Option<&RedisError>) {
        let timeouts = &generation.tested(hash).timeouts;
        let Some(error) = error else {
            return self.served(generation, timeouts);
        };
        let late = error.is_timeout() && timeouts.fetch_add(1, Relaxed) + 1 >= TIMEOUTS_MAX;
        if late || spoils_connection(error) {
            self.give_up(generation, error);
        } else if !error.is_timeout() {
            self.served(generation, timeouts);
        }
    }

    fn served(&self, generation: &Generation, timeouts: &AtomicU32) {
        if timeouts.load(Relaxed) > 0 {
            timeouts.store(0, Relaxed);
        }
        if !generation.proven.load(Relaxed) && !generation.proven.swap(true, Relaxed) {
            self.link().failures = 0;
        }
    }

    fn give_up(&self, generation: &Generation, error: &RedisError) {
        let mut link = self.link();
        let ours = link
            .current
            .take_if(|current| current.number == generation.number);
        // Others may have given it up already, and somebody may have connected since.
        if ours.is_some() {
            link.fail(error);
            self.publish(&link, Some(error));
            tracing::warn!(generation = generation.number, %error, "lost the connection to the job store");
        }
    }

    /// Tells what `link` is like now. Its lock is held meanwhile: the last word is the truth.
    fn publish(&self, link: &Link, last_error: Option<&RedisError>) {
        self.state.send_replace(ConnectionState {
            generation: link.made,
            connected: link.current.is_some(),
            last_error: last_error.cloned(),
        });
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Link {
    /// The first attempt after good times comes at once, each further one later.
    fn fail(&mut self, error: &RedisError) {
        let delay = match self.failures {
            0 => Duration::ZERO,
            failures => backoff(failures - 1, DELAY_MAX),
        };
        self.failures = self.failures.saturating_add(1);
        self.refused_until = Some((Instant::now() + delay, error.clone()));
    }
}
