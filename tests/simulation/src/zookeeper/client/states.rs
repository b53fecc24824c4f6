//! The states of a session's connection, for those who follow them.
//!
//! A watch channel of tokio wakes whoever waits in an order that it draws by chance, and nobody can seed that. Here those
//! who wait are woken in the order in which they began to.

use std::{
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use distjob_runtime::zk::client::{SessionState, SessionStates};
use futures::{FutureExt as _, future::BoxFuture};
use tokio::sync::Notify;

/// The state, and who is to be told of it. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(super) struct States(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    newest: Mutex<Newest>,
    changed: Notify,
}

#[derive(Clone, Copy, Debug)]
struct Newest {
    state: SessionState,
    /// How often it changed.
    number: u64,
}

/// Somebody who follows the states.
#[derive(Debug)]
pub(super) struct Follower {
    states: States,
    /// The number of the last one that it has seen.
    seen: u64,
}

impl States {
    pub(super) fn new(state: SessionState) -> Self {
        Self(Arc::new(Shared {
            newest: Mutex::new(Newest { state, number: 0 }),
            changed: Notify::new(),
        }))
    }

    pub(super) fn newest(&self) -> SessionState {
        self.lock().state
    }

    /// From now on it is this one. That it is what it was before is news, too.
    pub(super) fn tell(&self, state: SessionState) {
        let mut newest = self.lock();
        newest.state = state;
        newest.number += 1;
        drop(newest);
        self.0.changed.notify_waiters();
    }

    /// Somebody who knows the newest state, and hears of later ones.
    pub(super) fn follow(&self) -> Follower {
        Follower {
            seen: self.lock().number,
            states: self.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Newest> {
        self.0.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionStates for Follower {
    fn newest(&mut self) -> SessionState {
        let Newest { state, number } = *self.states.lock();
        self.seen = number;
        state
    }

    fn changed(&mut self) -> BoxFuture<'_, SessionState> {
        async {
            let states = self.states.clone();
            loop {
                let mut changed = pin!(states.0.changed.notified());
                changed.as_mut().enable();
                if states.lock().number != self.seen {
                    return self.newest();
                }
                changed.await;
            }
        }
        .boxed()
    }
}
