//! The daemon that delivers the results of distjob's jobs.
//!
//! Reading order: [`run`], `server` (the loop of one term), `pipeline` (one job from its lock to its end), [`spool`] (how
//! its result is put together: [`mod@format`], [`archive`], [`name`]), [`sink`] (where that goes), `attempts` (what is tried
//! again, and when).
//!
//! **Architecture invariants:** nothing here decides what an answer of the store means; that is
//! [`distjob_core::watcher`]. Nothing that matters is remembered across pipelines or terms: the stores have it all, and what
//! waits in the spool only saves work. A write that needs a lock is made only through the session that holds it.

use std::sync::Arc;

use distjob_core::Role;
use distjob_runtime::{
    member::{Conditions, Doorman, Offer},
    program::Context,
    store::{JobStore, StoreErrors, StoreSettings},
    zk::{SessionSettings, TermSettings},
};

pub mod archive;
mod attempts;
mod census;
mod config;
pub mod docs;
mod files;
pub mod format;
mod metrics;
pub mod name;
mod pipeline;
mod server;
pub mod sink;
mod slots;
pub mod spool;
mod then;

pub use config::{
    Argument, CommandConfig, Config, Entries, ListConfig, ListKind, ObjectsConfig, Payload, Placeholder,
    QueueConfig, Results, SinkConfig, SinkKind, StepConfig, Steps, WatcherConfig, WebhookConfig, When,
};

use self::{
    metrics::WatcherMetrics,
    server::{Outlets, Server, TermEnd, Watcher},
    sink::{DaemonSinks, Sinks},
};

/// The configuration as it is shipped.
pub const EMBEDDED_CONFIG: &str = include_str!("../../../config/watcher-d.toml");

/// What a watcher works with outside of its process.
#[derive(Debug)]
pub struct Outside {
    /// How to reach the ledger.
    pub session: SessionSettings,
    /// The store.
    pub store: JobStore,
    /// Where results are put together, and where they go.
    pub sinks: Arc<dyn Sinks>,
}

impl Outside {
    /// What the configuration names.
    ///
    /// # Errors
    /// When it cannot be used after all.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        let store = StoreSettings::try_from(&config.redis)?;
        Ok(Self {
            session: SessionSettings::new(&config.zookeeper)?,
            store: JobStore::new(&store)?,
            sinks: Arc::new(DaemonSinks { store }),
        })
    }
}

/// Runs a watcher until it is asked to stop.
///
/// # Errors
/// When the configuration cannot be used after all.
pub async fn run(context: Context<Config>) -> anyhow::Result<()> {
    let outside = Outside::new(&context.settings)?;
    run_with(outside, context).await;
    Ok(())
}

/// Runs a watcher with given stores and sinks until it is asked to stop.
pub async fn run_with(outside: Outside, context: Context<Config>) {
    let Outside {
        session,
        store,
        sinks,
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
            role: Role::Watcher,
            scrub_every: settings.watcher.scrub_every,
        },
        store,
        conditions: Conditions::require(&readiness),
    };
    metrics.collect(StoreErrors::of(doorman.store.clone()));
    let metrics = WatcherMetrics::register(&metrics);
    let slots = u32::try_from(settings.watcher.pipelines).unwrap_or(u32::MAX);
    let mut watcher = Watcher {
        outlets: Outlets::new(sinks),
        doorman,
        updates,
        stop,
        heartbeat,
        metrics,
    };
    // A watcher serves all queues: it names none.
    let offer = Offer {
        slots,
        ..Offer::default()
    };
    while let Some(term) = watcher
        .doorman
        .begin_term(&watcher.stop, &watcher.heartbeat, &offer)
        .await
    {
        watcher.metrics.terms.inc();
        if Server::new(&mut watcher, term).serve().await == TermEnd::Stopped {
            break;
        }
    }
}
