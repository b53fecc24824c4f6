//! Making the sinks and spools that the configuration names.

use std::{fmt::Debug, path::Path, sync::Arc};

use distjob_core::{Holder, SinkName};
use distjob_runtime::store::StoreSettings;

use super::{
    Sink, command::CommandSink, directory::DirectorySink, list::ListSink, objects::ObjectsSink,
    webhook::WebhookSink,
};
use crate::{
    config::{SinkConfig, SinkKind},
    spool::{DiskSpool, Spool},
};

/// What lies behind a watcher: where it puts results together, and where they go. A simulation has its own.
pub trait Sinks: Debug + Send + Sync {
    /// The spool of member `holder` in a directory. Does nothing yet: errors come when it is used.
    fn spool(&self, directory: &Path, holder: &Holder) -> Arc<dyn Spool>;

    /// The sink of that name. Does nothing yet: errors come when it is used.
    fn sink(&self, name: &SinkName, config: &SinkConfig) -> Arc<dyn Sink>;
}

/// Those of a daemon.
#[derive(Clone, Debug)]
pub struct DaemonSinks {
    /// The Redis that sinks may add to.
    pub store: StoreSettings,
}

impl Sinks for DaemonSinks {
    fn spool(&self, directory: &Path, holder: &Holder) -> Arc<dyn Spool> {
        Arc::new(DiskSpool::new(directory, holder.clone()))
    }

    fn sink(&self, name: &SinkName, config: &SinkConfig) -> Arc<dyn Sink> {
        match config.kind {
            SinkKind::Directory => Arc::new(DirectorySink::new(name.clone(), &config.directory)),
            SinkKind::Objects => Arc::new(ObjectsSink::new(&config.objects, config.timeout)),
            SinkKind::Webhook => Arc::new(WebhookSink::new(&config.webhook, config.timeout)),
            SinkKind::Command => Arc::new(CommandSink::new(&config.command, config.timeout)),
            SinkKind::Redis => Arc::new(ListSink::new(&config.redis, &self.store)),
        }
    }
}
