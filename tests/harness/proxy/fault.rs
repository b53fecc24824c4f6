//! What befalls single requests, and which.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::sync::watch;
use tokio::time::timeout;

/// What befalls a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The server does the work, the reply is swallowed, the connection is cut.
    LoseReply,
    /// The server never hears of it, the connection is cut.
    LoseRequest,
    /// The server does the work, the reply and all after it in this connection wait for [`Fault::release`].
    HoldReply,
    /// The request and all after it in this connection wait for [`Fault::release`]. They then reach the server even when
    /// the client has closed its side meanwhile: a late request.
    HoldRequest,
}

type Predicate = dyn Fn(&[u8]) -> bool + Send + Sync;

/// Chooses requests.
pub struct Trigger {
    matches: Box<Predicate>,
    skip: u32,
    times: u32,
}

impl Trigger {
    /// The next request that contains these bytes anywhere: a script's hash, a key, a znode's path.
    pub fn containing(text: impl AsRef<[u8]>) -> Trigger {
        let text = text.as_ref().to_owned();
        Trigger::when(move |request| contains(request, &text))
    }

    /// The next request to ZooKeeper that creates this znode, alone or in a transaction. `path` is the server's, with
    /// the client's root.
    pub fn creating(path: &str) -> Trigger {
        // Opcodes create, multi, create2, createContainer, createTTL. Paths are headed by their length.
        const CREATES: [i32; 5] = [1, 14, 15, 19, 21];
        let length = u32::try_from(path.len()).unwrap_or(u32::MAX);
        let path = [&length.to_be_bytes(), path.as_bytes()].concat();
        Trigger::when(move |request| {
            let opcode = request
                .get(8..)
                .and_then(|bytes| bytes.first_chunk())
                .copied()
                .map(i32::from_be_bytes);
            opcode.is_some_and(|opcode| CREATES.contains(&opcode)) && contains(request, &path)
        })
    }

    /// The next request for whose bytes, framing included, `matches` holds.
    pub fn when(matches: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> Trigger {
        Trigger {
            matches: Box::new(matches),
            skip: 0,
            times: 1,
        }
    }

    /// Lets the first `count` of the requests that match pass.
    pub fn skip(self, count: u32) -> Trigger {
        Trigger { skip: count, ..self }
    }

    /// Chooses `count` requests instead of one.
    pub fn times(self, count: u32) -> Trigger {
        Trigger { times: count, ..self }
    }
}

impl fmt::Debug for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trigger")
            .field("skip", &self.skip)
            .field("times", &self.times)
            .finish_non_exhaustive()
    }
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    text.is_empty() || bytes.windows(text.len()).any(|window| window == text)
}

/// The handle of an armed effect. Dropping it disarms and releases.
#[derive(Debug)]
pub struct Fault {
    hit: Arc<Hit>,
}

impl Fault {
    /// How often it has taken effect.
    pub fn fires(&self) -> u32 {
        *self.hit.fires.borrow()
    }

    /// Returns when it has taken effect: for the reply effects, when the server has done the work. An error when it has
    /// not within `limit`. Cancellation safe.
    pub async fn fired(&self, limit: Duration) -> Result<()> {
        let mut fires = self.hit.fires.subscribe();
        let fired = timeout(limit, fires.wait_for(|fires| *fires > 0)).await;
        fired
            .with_context(|| format!("no request met the fault within {limit:?}"))?
            .context("the proxy is gone")?;
        Ok(())
    }

    /// Lets go what is held, now and later.
    pub fn release(&self) {
        self.hit.released.send_replace(true);
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        self.hit
            .trigger
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .times = 0;
        self.release();
    }
}

/// An armed effect, as the connections see it.
#[derive(Debug)]
pub(super) struct Hit {
    pub(super) effect: Effect,
    trigger: Mutex<Trigger>,
    fires: watch::Sender<u32>,
    released: watch::Sender<bool>,
}

impl Hit {
    pub(super) fn fire(&self) {
        self.fires.send_modify(|fires| *fires += 1);
    }

    /// Undoes a choice: the server refused to look at the request.
    pub(super) fn rearm(&self) {
        self.trigger.lock().unwrap_or_else(PoisonError::into_inner).times += 1;
    }

    /// Fires, and returns when released.
    pub(super) async fn hold(&self) {
        self.fire();
        // Cannot fail: `self` keeps the sender alive.
        let _ = self.released.subscribe().wait_for(|released| *released).await;
    }

    fn chooses(&self, request: &[u8]) -> bool {
        let mut trigger = self.trigger.lock().unwrap_or_else(PoisonError::into_inner);
        if trigger.times == 0 || !(trigger.matches)(request) {
            return false;
        }
        let chosen = trigger.skip == 0;
        if chosen {
            trigger.times -= 1;
        } else {
            trigger.skip -= 1;
        }
        chosen
    }
}

/// All effects that were armed at a proxy, in order.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<Vec<Arc<Hit>>>);

impl Faults {
    pub(super) fn arm(&self, effect: Effect, trigger: Trigger) -> Fault {
        let (trigger, fires, released) = (
            Mutex::new(trigger),
            watch::Sender::default(),
            watch::Sender::default(),
        );
        let hit = Arc::new(Hit {
            effect,
            trigger,
            fires,
            released,
        });
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::clone(&hit));
        Fault { hit }
    }

    /// The first effect that chooses this request.
    pub(super) fn choose(&self, request: &[u8]) -> Option<Arc<Hit>> {
        let armed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        armed.iter().find(|hit| hit.chooses(request)).cloned()
    }
}
