//! Which handler works on which queue.

use std::{collections::BTreeMap, num::NonZeroUsize, sync::Arc};

use anyhow::Context as _;
use distjob_core::QueueName;
use distjob_runtime::metrics::Metrics;
use prometheus_client::metrics::{family::Family, gauge::Gauge};

#[cfg(debug_assertions)]
use super::Drill;
use super::{
    Concurrently, Handler, Http, OnThread, Prime,
    command::Command,
    process::{Bounds, Spawner},
    worker::Worker,
};
use crate::{
    config::{Config, HandlerKind, QueueConfig},
    metrics::QueueLabel,
};

/// The handler of each queue.
#[derive(Clone, Debug, Default)]
pub struct Handlers {
    by_queue: BTreeMap<QueueName, Arc<dyn Handler>>,
}

impl Handlers {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One handler for all of these queues.
    #[must_use]
    pub fn for_all<'a>(queues: impl IntoIterator<Item = &'a QueueName>, handler: &Arc<dyn Handler>) -> Self {
        let by_queue = queues
            .into_iter()
            .map(|queue| (queue.clone(), Arc::clone(handler)));
        Self {
            by_queue: by_queue.collect(),
        }
    }

    /// These, with `handler` for `queue`, whatever it had before.
    #[must_use]
    pub fn with(mut self, queue: QueueName, handler: impl Handler) -> Self {
        self.by_queue.insert(queue, Arc::new(handler));
        self
    }

    /// The handler of a queue.
    #[must_use]
    pub fn of(&self, queue: &QueueName) -> Option<&Arc<dyn Handler>> {
        self.by_queue.get(queue)
    }

    /// What the configuration names for each queue that is served; `metrics` tell what cannot be started. In a debug build, tests can make [`Prime`] a
    /// [`Drill`].
    ///
    /// # Errors
    /// When what it says of a queue cannot be used after all.
    pub fn built_in(config: &Config, metrics: &Metrics) -> anyhow::Result<Self> {
        let failures: Family<QueueLabel, Gauge> = metrics.register(
            "queue_failed_starts",
            "How often in turn the program of a queue could not be started, or ended before it was of use",
            Family::default(),
        );
        let mut handlers = Self::new();
        for queue in &config.executor.queues {
            let settings = config.queue(queue);
            let handler = built_in(queue, settings, &failures)
                .with_context(|| format!("set up the handler of queue {queue}"))?;
            handlers.by_queue.insert(queue.clone(), handler);
        }
        Ok(handlers)
    }
}

fn built_in(
    queue: &QueueName,
    config: &QueueConfig,
    failures: &Family<QueueLabel, Gauge>,
) -> anyhow::Result<Arc<dyn Handler>> {
    let failures = || failures.get_or_create_owned(&QueueLabel::of(queue));
    match config.handler {
        HandlerKind::Prime => Ok(prime()),
        // One task in each slot: how many run at once is what slots are about.
        HandlerKind::Http => Ok(Arc::new(Concurrently::new(Http::new(config)?, NonZeroUsize::MIN))),
        HandlerKind::Command => Ok(Arc::new(Command::new(spawner(config)?, config, failures()))),
        HandlerKind::Worker => Ok(Arc::new(Worker::new(queue, spawner(config)?, config, failures()))),
    }
}

fn spawner(config: &QueueConfig) -> anyhow::Result<Spawner> {
    let bounds = Bounds::new(&config.bounds, &config.variables).context("use bounds.user")?;
    Spawner::checked(bounds)
}

fn prime() -> Arc<dyn Handler> {
    #[cfg(debug_assertions)]
    if let Some(drill) = Drill::from_environment() {
        return Arc::new(OnThread::new(drill));
    }
    Arc::new(OnThread::new(Prime))
}
