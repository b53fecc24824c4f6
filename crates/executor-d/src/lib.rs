//! The daemon that runs the tasks of distjob's jobs.
//!
//! Reading order: [`run`], `server` (the loop of one term), `visit` (one claim and what it may need), `lease` (running
//! what was claimed), `hands` and `grip` (what is held), [`handler`] (what is done with a task).
//!
//! **Architecture invariant:** nothing here decides what an answer of the store means; that is
//! [`distjob_core::executor`]. Nothing here remembers anything across terms but the pace of tasks.

use std::collections::BTreeMap;

use anyhow::ensure;
use distjob_core::Role;
use distjob_runtime::{
    member::{Conditions, Doorman, Offer},
    store::{JobStore, StoreSettings},
    zk::{SessionSettings, TermSettings},
};

pub mod config;
pub mod docs;
mod grip;
pub mod handler;
mod hands;
pub mod launcher;
mod lease;
mod metrics;
mod server;
mod spans;
mod visit;

pub use config::{Config, ExecutorConfig};
pub use distjob_core::QueueName;
pub use distjob_runtime::{
    config::CommonArgs,
    program::{Context, Program},
};

use self::{
    handler::Handlers,
    metrics::ExecutorMetrics,
    server::{Executor, Server, TermEnd},
};

/// The configuration as it is shipped.
pub const EMBEDDED_CONFIG: &str = include_str!("../../../config/executor-d.toml");

/// What an executor works with outside of its process.
#[derive(Debug)]
pub struct Outside {
    /// How to reach the ledger.
    pub session: SessionSettings,
    /// The store.
    pub store: JobStore,
    /// What is done with the tasks of each queue that is served.
    pub handlers: Handlers,
}

impl Outside {
    /// The stores that the configuration names, and these handlers.
    ///
    /// # Errors
    /// When it cannot be used after all.
    pub fn new(config: &Config, handlers: Handlers) -> anyhow::Result<Self> {
        Ok(Self {
            session: SessionSettings::new(&config.zookeeper)?,
            store: JobStore::new(&StoreSettings::try_from(&config.redis)?)?,
            handlers,
        })
    }
}

/// Runs an executor with the handlers that its configuration names until it is asked to stop.
///
/// # Errors
/// When the configuration cannot be used after all.
pub async fn run(context: Context<Config>) -> anyhow::Result<()> {
    run_own(Handlers::built_in(&context.settings, &context.metrics)?, context).await
}

/// Runs an executor of one's own, with these handlers, until it is asked to stop. `deploy/examples/rust-executor` is a
/// whole one.
///
/// # Errors
/// When the configuration cannot be used after all, or lists a queue for which there is no handler.
pub async fn run_own(handlers: Handlers, context: Context<Config>) -> anyhow::Result<()> {
    for queue in &context.settings.executor.queues {
        let has_handler = handlers.of(queue).is_some();
        ensure!(
            has_handler,
            "no handler for queue {queue}, which executor.queues lists"
        );
    }
    let outside = Outside::new(&context.settings, handlers)?;
    run_with(outside, context).await;
    Ok(())
}

/// Runs an executor with given stores and handlers until it is asked to stop.
///
/// # Cancel safety
/// Dropping the future is the executor's death: all that it began ends with it, and its session, too, without a word
/// to the servers about what it holds.
pub async fn run_with(outside: Outside, context: Context<Config>) {
    let Outside {
        session,
        store,
        handlers,
    } = outside;
    let Context {
        settings,
        updates,
        stop,
        heartbeat,
        readiness,
        metrics,
    } = context;
    let doorman = Doorman {
        settings: TermSettings {
            session,
            role: Role::Executor,
            scrub_every: settings.executor.scrub_every,
        },
        store,
        conditions: Conditions::require(&readiness),
    };
    let metrics = ExecutorMetrics::register(&metrics);
    let queues = settings.executor.queues.clone();
    let limits = queues
        .iter()
        .map(|queue| (queue.clone(), settings.queue(queue).concurrency));
    let offer = Offer {
        slots: u32::try_from(settings.executor.slots()).unwrap_or(u32::MAX),
        limits: limits.filter(|(_, limit)| *limit > 0).collect(),
        queues,
    };
    let mut executor = Executor {
        doorman,
        handlers,
        updates,
        stop,
        heartbeat,
        metrics,
        paces: BTreeMap::new(),
    };
    while let Some(term) = executor
        .doorman
        .begin_term(&executor.stop, &executor.heartbeat, &offer)
        .await
    {
        executor.metrics.terms.inc();
        if Server::new(&mut executor, term).serve().await == TermEnd::Stopped {
            break;
        }
    }
    // The handlers go with it, and with them the processes that they keep.
    drop(executor);
    handler::processes_ended(&settings).await;
}
