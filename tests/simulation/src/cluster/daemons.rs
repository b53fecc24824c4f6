//! The daemons as they are, but for what lies outside of them.

use std::{sync::Arc, time::Duration};

use distjob_core::{KeyScheme, QueueName};
use distjob_runtime::{
    config::{RedisConfig, ZooKeeperConfig},
    program::Context,
    reach::{Directories, Reach, ReachSettings},
    shutdown::Stop,
    store::JobStore,
    zk::SessionSettings,
};
use futures::future::BoxFuture;
use serde::de::DeserializeOwned;

use super::Cluster;
use crate::{handler::SimulatedHandler, network::Process, plan::QUEUES};

/// How many connections a daemon has to Redis, as it is by default.
const CONNECTIONS: usize = 2;

/// How long a daemon that is asked to stop may take.
const GRACE: Duration = Duration::from_secs(5);

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// What a program's configuration is as it is shipped.
fn shipped<T: DeserializeOwned>(text: &str) -> T {
    toml_edit::de::from_str(text)
        .expect("the shipped configuration can be read: a test of the daemon says so")
}

pub(super) fn executor(cluster: &Cluster, process: Process, stop: Stop) -> BoxFuture<'static, ()> {
    let settings = cluster.plan().settings;
    let mut config: distjob_executor::Config = shipped(distjob_executor::EMBEDDED_CONFIG);
    cluster.adjust(&mut config.zookeeper, &mut config.redis);
    config.executor.slots = settings.slots;
    config.executor.queues = QUEUES
        .map(|name| QueueName::new(name).expect("it is a name"))
        .to_vec();
    config.executor.claim_max_tasks = settings.claim_max_tasks;
    config.executor.commit_every = ms(settings.commit_every_ms);
    config.executor.store_patience = ms(settings.store_patience_ms);
    config.executor.grace_period = GRACE;
    config.executor.scrub_every = ms(10_000);
    config.executor.claim_target = ms(settings.claim_target_ms);
    config.queue.attempts = settings.attempts;
    let abort_after = format!("{}%", settings.abort_after_percent);
    config.queue.abort_after = abort_after.parse().expect("it is a share");
    config.queue.retry_initial = ms(settings.retry_ms);
    config.queue.retry_max = ms(2 * settings.retry_ms);
    let outside = distjob_executor::Outside {
        session: cluster.session(process, &config.zookeeper),
        store: cluster.store(process, &config.redis),
        handlers: SimulatedHandler::handlers(cluster, process, &config.executor.queues),
    };
    Box::pin(distjob_executor::run_with(outside, Context::inside(config, stop)))
}

pub(super) fn watcher(cluster: &Cluster, process: Process, stop: Stop) -> BoxFuture<'static, ()> {
    let settings = cluster.plan().settings;
    let mut config: watcher_d::Config = shipped(watcher_d::EMBEDDED_CONFIG);
    cluster.adjust(&mut config.zookeeper, &mut config.redis);
    config.watcher.pipelines = settings.pipelines;
    config.watcher.slice_max_tasks = settings.slice_max_tasks;
    config.watcher.grace_period = GRACE;
    config.watcher.scrub_every = ms(10_000);
    config.watcher.retry_max = ms(5000);
    for (queue, steps) in &cluster.plan().flows {
        let mut with_steps = config.queue.clone();
        with_steps.then.clone_from(steps);
        config.queues.insert(queue.clone(), with_steps);
    }
    let outside = watcher_d::Outside {
        session: cluster.session(process, &config.zookeeper),
        store: cluster.store(process, &config.redis),
        sinks: cluster.shelf().sinks(process),
    };
    Box::pin(watcher_d::run_with(outside, Context::inside(config, stop)))
}

impl Cluster {
    /// Both stores, for a process that ends by itself.
    #[must_use]
    pub fn reach(&self, process: Process) -> Arc<Reach> {
        let mut config: submitter::Config = shipped(submitter::EMBEDDED_CONFIG);
        self.adjust(&mut config.zookeeper, &mut config.redis);
        let session = self.session(process, &config.zookeeper);
        let store = self.store(process, &config.redis);
        let settings = ReachSettings {
            zookeeper: config.zookeeper,
            redis: config.redis,
            limit: ms(self.plan().settings.submit_timeout_ms),
            directories: Directories::Create,
            say: Arc::new(|_| {}),
        };
        Arc::new(Reach::over(session, store, settings))
    }

    fn adjust(&self, zookeeper: &mut ZooKeeperConfig, redis: &mut RedisConfig) {
        let settings = self.plan().settings;
        zookeeper.session_timeout = ms(settings.session_timeout_ms);
        zookeeper.operation_timeout = ms(settings.session_timeout_ms);
        redis.response_timeout = ms(settings.response_timeout_ms);
        redis.connect_timeout = ms(1000);
    }

    fn session(&self, process: Process, config: &ZooKeeperConfig) -> SessionSettings {
        SessionSettings {
            connect: config.connect.clone(),
            connector: self.ensemble().connector(process),
            layout: self.layout().clone(),
            session_timeout: config.session_timeout,
            operation_timeout: config.operation_timeout,
        }
    }

    fn store(&self, process: Process, config: &RedisConfig) -> JobStore {
        let keys = KeyScheme::new(config.prefix.clone()).expect("the shipped prefix is one");
        let dial = self
            .redis()
            .dial(process, config.response_timeout, config.connect_timeout);
        JobStore::over(keys, dial, CONNECTIONS)
    }
}
