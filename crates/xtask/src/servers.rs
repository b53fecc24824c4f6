//! One ZooKeeper and one Redis that a whole test run shares: starting a pair for each test would take most of the time.

use std::process::Command;

use anyhow::{Context as _, Result};
use harness::{AppendOnly, Redis, SHARED_REDIS, SHARED_ZOOKEEPER, ZooKeeper};
use tempfile::TempDir;

/// Both servers, on free ports of 127.0.0.1. Dropping this kills them and removes their files.
pub(crate) struct SharedServers {
    zookeeper: ZooKeeper,
    redis: Redis,
    // After the servers: fields are dropped in this order.
    _directory: TempDir,
}

impl SharedServers {
    /// Starts both and returns when they serve.
    pub(crate) fn start() -> Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("distjob-servers-")
            .tempdir()
            .context("make a temporary directory")?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("start the async runtime")?;
        let zookeeper = runtime.block_on(ZooKeeper::start_in(&directory.path().join("zookeeper")))?;
        // Nobody restarts the shared one, so it need not keep anything.
        let redis = runtime.block_on(Redis::start_in(&directory.path().join("redis"), AppendOnly::No))?;
        eprintln!("    ZooKeeper at {}, Redis at {}", zookeeper.addr(), redis.addr());
        Ok(Self {
            zookeeper,
            redis,
            _directory: directory,
        })
    }

    /// Tells the tests that `command` runs where the servers are.
    pub(crate) fn announce_to(&self, command: &mut Command) {
        command
            .env(SHARED_ZOOKEEPER, self.zookeeper.connect_string())
            .env(SHARED_REDIS, self.redis.url());
    }
}
