//! Reads that see all that happened before they were asked for, those of many tasks together.
//!
//! ```text
//! tasks ──► boarding ──departs──► sync, reads ──► replies      two flights under way at most
//! ```
//!
//! Each such read needs the leader's word, which costs as much as what is read. Whoever asks while a flight is boarding comes
//! along in it: its `sync` is sent later than all that its passengers know of. A flight departs as soon as less than two are under
//! way, so the first ones are nearly empty, and those that wait for them are full.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared, join},
};
use tokio::{task::yield_now, time::timeout};

use super::SessionClient;
use crate::zk::{
    ZkError,
    client::{NodeRead, Reply},
};

/// Most znodes that are read with one flight.
const PASSENGERS_MAX: usize = 64;

/// Flights that are under way at once.
const FLIGHTS_MAX: usize = 2;

type Landed = Shared<BoxFuture<'static, Arc<Result<Vec<NodeRead>, ZkError>>>>;

/// Joins fresh reads.
#[derive(Default)]
pub(super) struct FreshReads(Mutex<State>);

#[derive(Default)]
struct State {
    boarding: Option<Flight>,
    /// The last ones that departed, or will.
    under_way: VecDeque<Landed>,
}

#[derive(Clone)]
struct Flight {
    /// What it reads; nothing once it has departed.
    paths: Arc<Mutex<Option<Vec<String>>>>,
    landed: Landed,
}

impl fmt::Debug for FreshReads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FreshReads").finish_non_exhaustive()
    }
}

impl FreshReads {
    /// Reads a znode after the server has heard of all that happened before the call. One attempt.
    ///
    /// Cancel safe: nobody else's read depends on this one going on.
    pub(super) async fn read(
        &self,
        client: &Arc<dyn SessionClient>,
        operation_timeout: Duration,
        path: String,
    ) -> NodeRead {
        let (landed, seat) = self.board(client, operation_timeout, path);
        match &*landed.await {
            Ok(reads) => reads
                .get(seat)
                .cloned()
                .unwrap_or_else(|| Err(ZkError::Unclear("an answer too few".to_owned()))),
            Err(error) => Err(error.clone()),
        }
    }

    /// A seat in the next flight.
    fn board(
        &self,
        client: &Arc<dyn SessionClient>,
        operation_timeout: Duration,
        path: String,
    ) -> (Landed, usize) {
        let mut state = lock(&self.0);
        if let Some(flight) = &state.boarding
            && let Some(paths) = &mut *lock(&flight.paths)
            && paths.len() < PASSENGERS_MAX
        {
            paths.push(path);
            return (flight.landed.clone(), paths.len() - 1);
        }
        let before = match state.under_way.len() {
            FLIGHTS_MAX.. => state.under_way.pop_front(),
            _ => None,
        };
        let paths = Arc::new(Mutex::new(Some(vec![path])));
        let flight = fly(Arc::clone(client), operation_timeout, Arc::clone(&paths), before);
        let landed = flight.boxed().shared();
        state.under_way.push_back(landed.clone());
        state.boarding = Some(Flight {
            paths,
            landed: landed.clone(),
        });
        (landed, 0)
    }
}

async fn fly(
    client: Arc<dyn SessionClient>,
    operation_timeout: Duration,
    paths: Arc<Mutex<Option<Vec<String>>>>,
    before: Option<Landed>,
) -> Arc<Result<Vec<NodeRead>, ZkError>> {
    if let Some(before) = before {
        before.await;
    }
    // A moment for the next one who asks.
    yield_now().await;
    let paths = lock(&paths).take().unwrap_or_default();
    let Some(path) = paths.first() else {
        return Arc::new(Ok(Vec::new()));
    };
    // Both requests are sent at once; the server answers them in this order.
    let (sync, reads) = (client.sync(path), client.get_data_of_all(&paths));
    let (sync, reads) = join(
        reply(&*client, operation_timeout, sync),
        reply(&*client, operation_timeout, reads),
    )
    .await;
    Arc::new(sync.and(reads))
}

/// Waits for the reply to a request that has been sent, for as long as one may take.
pub(super) async fn reply<T>(
    client: &dyn SessionClient,
    operation_timeout: Duration,
    request: Reply<'_, T>,
) -> Result<T, ZkError> {
    match timeout(operation_timeout, request).await {
        Ok(reply) => reply,
        Err(_) if client.state() == super::SessionState::Over => Err(ZkError::SessionOver),
        Err(_) => Err(ZkError::Unclear(format!("no reply within {operation_timeout:?}"))),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
