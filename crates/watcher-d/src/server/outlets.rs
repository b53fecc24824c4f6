//! The sinks and spools in force, and those that were.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use distjob_core::{Holder, Roster, SinkName};
use futures::future::BoxFuture;

use crate::{
    config::{Config, SinkConfig},
    sink::{Guarded, Places, SinkError, Sinks},
    spool::Spool,
};

/// Where results are put together and where they go, since the start: those who die may have been at work in any of them.
#[derive(Debug)]
pub(crate) struct Outlets {
    sinks: Arc<dyn Sinks>,
    made: Vec<Made>,
    spools: Vec<PathBuf>,
}

#[derive(Debug)]
struct Made {
    name: SinkName,
    config: SinkConfig,
    sink: Arc<Guarded>,
}

impl Outlets {
    /// Those that `sinks` makes.
    pub(crate) fn new(sinks: Arc<dyn Sinks>) -> Self {
        Self {
            sinks,
            made: Vec::new(),
            spools: Vec::new(),
        }
    }

    /// The spool of `holder` that is in force from now on.
    pub(super) fn spool(&mut self, config: &Config, holder: &Holder) -> Arc<dyn Spool> {
        let directory = config.spool();
        let spool = self.sinks.spool(&directory, holder);
        if !self.spools.contains(&directory) {
            self.spools.push(directory);
        }
        spool
    }

    /// The sinks that are in force from now on. One of which nothing new is said stays what it is, with its connections.
    pub(super) fn sinks(&mut self, config: &Config) -> Arc<BTreeMap<SinkName, Arc<Guarded>>> {
        let places = Places {
            pipelines: config.watcher.pipelines,
            in_hand: config.watcher.in_hand_max(),
        };
        let made = |(name, sink): (SinkName, &SinkConfig)| {
            let sink = self.sink(name.clone(), sink);
            sink.share(places);
            (name, sink)
        };
        Arc::new(config.all_sinks().map(made).collect())
    }

    fn sink(&mut self, name: SinkName, config: &SinkConfig) -> Arc<Guarded> {
        let known = |made: &&Made| made.name == name && made.config == *config;
        if let Some(made) = self.made.iter().find(known) {
            return Arc::clone(&made.sink);
        }
        let sink = Arc::new(Guarded::new(name.clone(), self.sinks.sink(&name, config)));
        self.made.push(Made {
            name,
            config: config.clone(),
            sink: Arc::clone(&sink),
        });
        sink
    }

    /// One sweep for each of them.
    pub(super) fn sweeps(
        &self,
        roster: &Arc<Roster>,
        holder: &Holder,
    ) -> Vec<BoxFuture<'static, Result<usize, SinkError>>> {
        let spools = self.spools.iter().map(|directory| {
            let spool = self.sinks.spool(directory, holder);
            spool.sweep(Arc::clone(roster))
        });
        let sinks = self.made.iter().map(|made| made.sink.sweep(Arc::clone(roster)));
        spools.chain(sinks).collect()
    }
}
