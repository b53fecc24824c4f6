//! The daemon that runs the tasks of distjob's jobs.
//!
//! Reading order: [`run`], `server` (the loop of one term), `visit` (one claim and what it may need), `lease` (running
//! what was claimed), `hands` (what is held), [`handler`] (what is done with a task).
//!
//! **Architecture invariant:** nothing here decides what an answer of the store means; that is
//! [`distjob_core::executor`]. Nothing here remembers anything across terms but the pace of tasks.

use std::{collections::HashMap, sync::Arc};

use distjob_core::Role;
use distjob_runtime::{
    member::{Conditions, Doorman},
    program::Context,
    store::{JobStore, StoreSettings},
    zk::{SessionSettings, TermSettings},
};

mod config;
pub mod handler;
mod hands;
mod lease;
mod metrics;
mod server;
mod visit;

pub use config::{Config, ExecutorConfig};

use self::{
    metrics::ExecutorMetrics,
    server::{Executor, Server, TermEnd},
};

/// The configuration as it is shipped.
pub const EMBEDDED_CONFIG: &str = include_str!("../../../config/executor-d.toml");

/// Runs an executor until it is asked to stop.
///
/// # Errors
/// When the configuration cannot be used after all.
pub async fn run(context: Context<Config>) -> anyhow::Result<()> {
    let Context {
        settings,
        updates,
        stop,
        heartbeat,
        readiness,
        metrics,
    } = context;
    let session = SessionSettings::new(&settings.zookeeper)?;
    let doorman = Doorman {
        settings: TermSettings {
            session,
            role: Role::Executor,
            scrub_every: settings.executor.scrub_every,
        },
        store: JobStore::new(&StoreSettings::try_from(&settings.redis)?)?,
        conditions: Conditions::require(&readiness),
    };
    let metrics = ExecutorMetrics::register(&metrics);
    let queues = settings.executor.queues.clone();
    let slots = u32::try_from(settings.executor.slots()).unwrap_or(u32::MAX);
    let handler = Arc::from(handler::built_in());
    let mut executor = Executor {
        doorman,
        handler,
        updates,
        stop,
        heartbeat,
        metrics,
        paces: HashMap::new(),
    };
    while let Some(term) = executor
        .doorman
        .begin_term(&executor.stop, &executor.heartbeat, &queues, slots)
        .await
    {
        executor.metrics.terms.inc();
        if Server::new(&mut executor, term).serve().await == TermEnd::Stopped {
            break;
        }
    }
    Ok(())
}
