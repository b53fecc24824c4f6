//! Looks at the stores again and again, and shuts the gate while they should be left alone.

use std::{pin::pin, sync::Arc, time::Duration};

use distjob_core::pressure::{Limits, Load, Pressure};
use distjob_runtime::{exit::StoreUnreachable, metrics::Metrics, reach::Reach, store::Memory, zk::ZkError};
use prometheus_client::metrics::{family::Family, gauge::Gauge};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tracing::{info, warn};

use super::gate::Keeper;
use crate::config::Config;

/// A store that has not answered for so long is away. Longer than a server needs that is only busy.
const PATIENCE: Duration = Duration::from_millis(2500);

/// Who shuts the gate, and when.
#[derive(Debug)]
pub(crate) struct Watchman {
    reach: Arc<Reach>,
    keeper: Keeper,
    settings: watch::Receiver<Arc<Config>>,
    shut: Family<[(&'static str, &'static str); 1], Gauge>,
}

impl Watchman {
    /// With a `reach` of which nobody waits long for an answer.
    pub(crate) fn new(
        reach: Arc<Reach>,
        keeper: Keeper,
        settings: watch::Receiver<Arc<Config>>,
        metrics: &Metrics,
    ) -> Self {
        let shut = metrics.register(
            "submitter_shut",
            "Whether nothing is taken in, by reason: away, memory or jobs",
            Family::default(),
        );
        Self {
            reach,
            keeper,
            settings,
            shut,
        }
    }

    /// Looks for ever.
    pub(crate) async fn watch(self) {
        loop {
            let mut look = pin!(self.look());
            let load = match timeout(PATIENCE, &mut look).await {
                Ok(load) => load,
                Err(_) => {
                    let away = Some(self.reach.away().unwrap_or("a store"));
                    self.judge(&Load {
                        away,
                        ..Load::default()
                    });
                    look.await
                }
            };
            self.judge(&load);
            let pause = self.settings.borrow().run.pressure.look_every;
            sleep(pause).await;
        }
    }

    async fn look(&self) -> Load {
        let (memory, jobs) = tokio::join!(self.memory(), self.jobs());
        match (memory, jobs) {
            (Ok(memory), Ok(jobs)) => Load {
                memory: memory.max.map(|max| (memory.used, max)),
                jobs,
                away: None,
            },
            (Err(error), _) | (_, Err(error)) => Load {
                away: Some(store_of(&error)),
                ..Load::default()
            },
        }
    }

    async fn memory(&self) -> anyhow::Result<Memory> {
        self.reach.redis(|| self.reach.store().memory()).await
    }

    async fn jobs(&self) -> anyhow::Result<u64> {
        let count = self.reach.zookeeper(|ledger| async move {
            match ledger.count().await {
                // Nobody has made the directory yet.
                Err(ZkError::NoNode) => Ok(0),
                count => count,
            }
        });
        count.await
    }

    fn judge(&self, load: &Load) {
        let limits = {
            let settings = self.settings.borrow();
            let pressure = &settings.run.pressure;
            Limits {
                memory_max: pressure.redis_memory_max,
                jobs_max: pressure.jobs_max,
            }
        };
        let before = self.keeper.pressure();
        let now = limits.judge(load, before);
        let word = |pressure: Option<Pressure>| pressure.map(|pressure| pressure.word());
        if word(before) != word(now) {
            match now {
                Some(pressure) => warn!("taking nothing in: {pressure}"),
                None => info!("taking tasks in again"),
            }
            for (pressure, is_shut) in [(before, 0), (now, 1)] {
                if let Some(reason) = word(pressure) {
                    self.shut.get_or_create(&[("reason", reason)]).set(is_shut);
                }
            }
        }
        self.keeper.set(now);
    }
}

/// Which store an error came from. One that refuses the question is of no more use than one that is silent.
fn store_of(error: &anyhow::Error) -> &'static str {
    match error.downcast_ref::<StoreUnreachable>() {
        Some(StoreUnreachable(store)) => store,
        None => "a store",
    }
}
