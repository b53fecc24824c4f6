//! Whether the stores answer and belong together, for the service's readiness.

use std::{sync::Arc, time::Duration};

use distjob_runtime::{
    exit::StoreUnreachable,
    health::{Condition, Readiness, Told},
    reach::Reach,
};
use tokio::time::sleep;
use tracing::error;

/// Between two looks while all is well.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// And while it is not.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// The conditions without which the service is not ready.
#[derive(Debug)]
pub(crate) struct Stores {
    reach: Arc<Reach>,
    zookeeper: Condition,
    redis: Condition,
    ledger: Condition,
}

impl Stores {
    /// None of them met yet. `reach` is for this alone, and gives up soon.
    pub(crate) fn new(reach: Arc<Reach>, readiness: &Readiness) -> Self {
        let [zookeeper, redis, ledger] = readiness.require(["zookeeper", "redis", "ledger"]);
        Self {
            reach,
            zookeeper,
            redis,
            ledger,
        }
    }

    /// Looks again and again. Runs for ever.
    pub(crate) async fn watch(self) {
        loop {
            let is_well = self.look().await;
            sleep(if is_well { LOOK_EVERY } else { LOOK_AGAIN }).await;
        }
    }

    async fn look(&self) -> bool {
        let Err(failure) = self.reach.ensure_belonging().await else {
            self.zookeeper.met();
            self.redis.met();
            self.ledger.met();
            return true;
        };
        let why = format!("{failure:#}");
        let away = failure
            .chain()
            .find_map(|cause| cause.downcast_ref::<StoreUnreachable>())
            .or_else(|| failure.downcast_ref());
        match away {
            Some(StoreUnreachable("redis")) => drop(self.redis.unmet(why)),
            Some(_) => drop(self.zookeeper.unmet(why)),
            None => {
                if self.ledger.unmet(why.as_str()) == Told::News {
                    error!("nothing is submitted: {why}");
                }
            }
        }
        false
    }
}
