//! Jobs that wait.

use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use redis::aio::MultiplexedConnection;
use tokio::time::interval;
use zookeeper_client::{Acls, Client, CreateMode, CreateOptions};

use crate::stage::Stage;

const PERSISTENT: CreateOptions<'static> = CreateMode::Persistent.with_acls(Acls::anyone_all());

/// Of the queue that [`HERE`](super::HERE) serves.
const DATA: &[u8] = b"subm=1;queue=waiting";

/// Creations that are on their way at once.
const IN_FLIGHT: usize = 300;

/// Between two jobs that come by themselves: 200 a second.
const PACE: Duration = Duration::from_millis(5);

/// Lists that are pushed with one round trip.
const PUSHES: usize = 1_000;

/// Jobs of one task each, made as any program may make them.
#[derive(Debug)]
pub(super) struct Crowd {
    zk: Client,
    redis: MultiplexedConnection,
    jobs: String,
    count: usize,
}

impl Crowd {
    /// Nobody yet. Daemons have been on the stage, so that the store is known to belong to the ledger.
    pub(super) async fn gather(stage: &mut Stage) -> Result<Self> {
        stage.watcher("").await?;
        stage.clear().await?;
        let world = stage.world();
        Ok(Self {
            zk: world.zk().await?,
            redis: world.redis().await?,
            jobs: world.path("jobs"),
            count: 0,
        })
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// As many as `count`, pushed and created as fast as the stores take them.
    pub(super) async fn grow(&mut self, count: usize) -> Result<()> {
        let ids: Vec<String> = (self.count..count).map(id).collect();
        for ids in ids.chunks(PUSHES) {
            let mut pushes = redis::pipe();
            for id in ids {
                pushes.cmd("RPUSH").arg(id).arg("1").ignore();
            }
            let () = pushes.query_async(&mut self.redis).await.context("push tasks")?;
        }
        let (zk, jobs) = (&self.zk, &self.jobs);
        stream::iter(&ids)
            .map(async |id| {
                let path = format!("{jobs}/{id}");
                zk.create(&path, DATA, &PERSISTENT).await.context("create a job")
            })
            .buffer_unordered(IN_FLIGHT)
            .try_for_each(async |_| Ok(()))
            .await?;
        self.count = count;
        Ok(())
    }

    /// So many more, one after the other, at the pace of a busy deployment.
    pub(super) async fn trickle(&mut self, more: usize) -> Result<()> {
        let mut ticks = interval(PACE);
        for _ in 0..more {
            ticks.tick().await;
            self.grow(self.count + 1).await?;
        }
        Ok(())
    }
}

/// As long as those that the submitter makes.
fn id(nth: usize) -> String {
    format!("0197b0a3c0de7000a1b2{nth:012x}")
}
