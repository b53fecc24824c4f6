//! The writes that the ledger needs for one job, and nothing else: what no program that keeps the protocol can do without.
//!
//! 1. its submission: create
//! 2. its tasks have their outcomes: set
//! 3. it is a watcher's: check and create, in one transaction
//! 4. it is delivered: check and set, in one transaction
//! 5. it is over: delete and delete, in one transaction

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use harness::World;
use tokio::task::JoinSet;
use zookeeper_client::{
    Acls, AddWatchMode, Client, CreateMode, CreateOptions, Error, EventType, MultiWriter,
};

use super::file;

/// So many writes a job.
pub(crate) const WRITES: usize = 5;

/// Jobs whose writes are on their way at once, in the best case: enough for the server to sync many with one flush, and few
/// enough that it answers without making anybody wait.
pub(crate) const IN_FLIGHT: usize = 300;

const PERSISTENT: CreateOptions<'static> = CreateMode::Persistent.with_acls(Acls::anyone_all());
const EPHEMERAL: CreateOptions<'static> = CreateMode::Ephemeral.with_acls(Acls::anyone_all());

/// Jobs of a root of their own, of which no daemon knows.
#[derive(Debug)]
pub(crate) struct LedgerFloor {
    zk: Client,
    root: String,
}

/// How long each step of a job took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Steps {
    /// Each write, from the request to its answer.
    pub(crate) writes: [Duration; WRITES],
    /// A small file made durable, between the third write and the fourth.
    pub(crate) file: Duration,
}

impl Steps {
    /// The first so many writes.
    pub(crate) fn of_writes(&self, count: usize) -> Duration {
        self.writes.iter().take(count).sum()
    }
}

impl LedgerFloor {
    /// On the server of a world, beside its own root.
    pub(crate) async fn new(world: &World) -> Result<Self> {
        let zk = world.zk().await?;
        let root = format!("{}-floor", world.root());
        for directory in ["jobs", "watchlocks"] {
            zk.mkdir(&format!("{root}/{directory}"), &PERSISTENT)
                .await
                .context("make the floor's root")?;
        }
        Ok(Self { zk, root })
    }

    /// One job after the other, one write after the other, and a file in `directory` in between.
    pub(crate) async fn in_sequence(&self, jobs: usize, directory: &Path) -> Result<Vec<Steps>> {
        let mut all = Vec::with_capacity(jobs);
        for job in 0..jobs {
            let mut writes = [Duration::ZERO; WRITES];
            let mut file = Duration::ZERO;
            for (nth, took) in writes.iter_mut().enumerate() {
                if nth == 3 {
                    file = file::make_durable(directory).await?;
                }
                let begun = Instant::now();
                self.write(job, nth).await?;
                *took = begun.elapsed();
            }
            all.push(Steps { writes, file });
        }
        Ok(all)
    }

    /// So many jobs at once, each of them one write after the other. Returns how long all took together.
    pub(crate) async fn pipelined(&self, jobs: usize, in_flight: usize) -> Result<Duration> {
        let begun = Instant::now();
        stream::iter(0..jobs)
            .map(async |job| {
                for nth in 0..WRITES {
                    self.write(job, nth).await?;
                }
                anyhow::Ok(())
            })
            .buffer_unordered(in_flight)
            .try_collect::<()>()
            .await?;
        Ok(begun.elapsed())
    }

    /// So many plain writes of small znodes, and nothing else: what the server can do at most. Each znode is written once more
    /// only after its last write was answered. Returns how long all took together.
    pub(crate) async fn plain_sets(&self, sets: usize, in_flight: usize) -> Result<Duration> {
        let path = |number: usize| format!("{}/jobs/plain-{number:028}", self.root);
        for number in 0..in_flight {
            match self.zk.create(&path(number), b"", &PERSISTENT).await {
                Ok(_) | Err(Error::NodeExists) => {}
                Err(error) => return Err(error).context("make a znode to write"),
            }
        }
        let begun = Instant::now();
        stream::iter(0..in_flight)
            .map(async |number| {
                let path = path(number);
                for _ in (number..sets).step_by(in_flight) {
                    self.zk.set_data(&path, b"prcd=1;queue=primes", None).await?;
                }
                anyhow::Ok(())
            })
            .buffer_unordered(in_flight)
            .try_collect::<()>()
            .await?;
        Ok(begun.elapsed())
    }

    /// Lets so many sessions hear of each step of each job, as members do, until what this returns is dropped.
    pub(crate) async fn listen(&self, world: &World, sessions: usize) -> Result<JoinSet<()>> {
        let mut listeners = JoinSet::new();
        for _ in 0..sessions {
            let zk = world.zk().await?;
            let mut steps = zk
                .watch(&self.root, AddWatchMode::PersistentRecursive)
                .await
                .context("watch the floor")?;
            listeners.spawn(async move {
                // Its session ends with it.
                let _zk = zk;
                // A session that breaks hears of nothing more, which makes the floor no slower.
                while steps.changed().await.event_type != EventType::Session {}
            });
        }
        Ok(listeners)
    }

    /// The nth write of a job, from 0.
    async fn write(&self, number: usize, nth: usize) -> Result<()> {
        let job = format!("{}/jobs/floor-{number:028}", self.root);
        let lock = format!("{}/watchlocks/floor-{number:028}", self.root);
        match nth {
            0 => drop(self.zk.create(&job, b"subm=1;queue=primes", &PERSISTENT).await?),
            1 => drop(self.zk.set_data(&job, b"prcd=1;queue=primes", Some(0)).await?),
            2 => {
                let mut multi = self.zk.new_multi_writer();
                multi.add_check_version(&job, 1)?;
                multi.add_create(&lock, b"w-0197b0a3c0de7000a1b2c3d4e5f60718", &EPHEMERAL)?;
                commit(multi).await?;
            }
            3 => {
                let mut multi = self.zk.new_multi_writer();
                multi.add_check_version(&lock, 0)?;
                multi.add_set_data(&job, b"uploaded=1;queue=primes;failed=0", Some(1))?;
                commit(multi).await?;
            }
            _ => {
                let mut multi = self.zk.new_multi_writer();
                multi.add_delete(&job, Some(2))?;
                multi.add_delete(&lock, Some(0))?;
                commit(multi).await?;
            }
        }
        Ok(())
    }
}

async fn commit(mut multi: MultiWriter<'_>) -> Result<()> {
    multi.commit().await.map(drop).context("write to the ledger")
}
