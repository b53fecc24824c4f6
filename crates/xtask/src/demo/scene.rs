//! What both stores show at one moment: whose share each batch is in, who works on it, how far it is.

use std::{collections::BTreeMap, fmt};

use anyhow::{Context as _, Result};
use distjob_core::{
    Holder, JobId, KeyScheme, Lease,
    share::{self, Sharing},
};
use harness::World;
use redis::{AsyncCommands as _, aio::MultiplexedConnection};

use super::cast::Cast;

const BAR_WIDTH: u64 = 20;

/// Takes scenes.
pub(super) struct Camera<'a> {
    world: &'a World,
    redis: MultiplexedConnection,
    keys: KeyScheme,
    jobs: Vec<JobId>,
    tasks_per_job: u64,
}

/// All batches at one moment.
#[derive(Debug)]
pub(super) struct Scene {
    members: String,
    batches: Vec<Batch>,
}

#[derive(Debug)]
struct Batch {
    /// The state in its znode; none once that is gone.
    state: Option<String>,
    tasks: u64,
    committed: u64,
    /// The executor in whose share it is.
    owner: Option<String>,
    /// How many tasks each executor has claimed and not committed yet.
    claimed: BTreeMap<String, u64>,
    /// The watcher that has locked it.
    watcher: Option<String>,
}

impl<'a> Camera<'a> {
    /// A camera on the jobs, each of so many tasks.
    pub(super) async fn new(world: &'a World, jobs: &[String], tasks_per_job: u64) -> Result<Self> {
        let jobs = jobs
            .iter()
            .map(|id| JobId::new(id.as_str()))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            world,
            redis: world.redis().await?,
            keys: KeyScheme::new(world.prefix())?,
            jobs,
            tasks_per_job,
        })
    }

    /// What there is to see now.
    pub(super) async fn take(&mut self, cast: &Cast) -> Result<Scene> {
        let states = self.world.jobs().await?;
        let locks = self.world.locks().await?;
        let executors: Vec<String> = names(self.world.executors().await?);
        let watchers = names(self.world.watchers().await?);
        let submitted: Vec<&str> = states
            .iter()
            .filter(|(_, data)| data.starts_with("subm"))
            .map(|(id, _)| id.as_str())
            .collect();
        // The executors do the same, each for itself: that is all there is to sharing.
        let owners = share::assign(Sharing::default(), &submitted, &executors);
        let mut batches = Vec::new();
        for id in self.jobs.clone() {
            let owner = submitted
                .iter()
                .position(|job| *job == id.as_str())
                .and_then(|at| owners.get(at));
            let state = states
                .get(id.as_str())
                .map(|data| data.split('=').next().unwrap_or_default().to_owned());
            let (committed, claimed) = self.progress(&id, state.is_none(), cast).await?;
            batches.push(Batch {
                state,
                tasks: self.tasks_per_job,
                committed,
                owner: owner.map(|owner| cast.label(&executors[*owner]).to_owned()),
                claimed,
                watcher: locks.get(id.as_str()).map(|name| cast.label(name).to_owned()),
            });
        }
        let mut members: Vec<&str> = executors
            .iter()
            .chain(&watchers)
            .map(|name| cast.label(name))
            .collect();
        members.sort_unstable();
        Ok(Scene {
            members: members.join(", "),
            batches,
        })
    }

    async fn progress(
        &mut self,
        id: &JobId,
        gone: bool,
        cast: &Cast,
    ) -> Result<(u64, BTreeMap<String, u64>)> {
        if gone {
            return Ok((self.tasks_per_job, BTreeMap::new()));
        }
        let keys = self.keys.job(id);
        let committed: Option<u64> = self.redis.hget(&keys.meta, "committed").await?;
        let leases: BTreeMap<String, String> = self.redis.hgetall(&keys.leases).await?;
        let mut claimed = BTreeMap::new();
        for (holder, leases) in leases {
            let holder: Holder = holder.parse()?;
            let leases = Lease::parse_list(&leases).context("read the leases of an executor")?;
            let tasks = leases.iter().map(|lease| lease.range.len()).sum();
            claimed.insert(cast.label(holder.name.as_str()).to_owned(), tasks);
        }
        Ok((committed.unwrap_or(0), claimed))
    }
}

fn names(members: Vec<harness::Member>) -> Vec<String> {
    members.into_iter().map(|member| member.name).collect()
}

impl Scene {
    /// How many of a hundred tasks, over all batches, have their outcome recorded.
    pub(super) fn percent(&self) -> u64 {
        let sum = |count: fn(&Batch) -> u64| self.batches.iter().map(count).sum::<u64>();
        sum(|batch| batch.committed) * 100 / sum(|batch| batch.tasks).max(1)
    }

    /// Whether no batch's znode is left.
    pub(super) fn is_over(&self) -> bool {
        self.batches.iter().all(|batch| batch.state.is_none())
    }

    /// How many tasks an executor has claimed and not committed.
    pub(super) fn claimed_by(&self, label: &str) -> u64 {
        self.batches
            .iter()
            .filter_map(|batch| batch.claimed.get(label))
            .sum()
    }
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:>3} %  here: {}", self.percent(), self.members)?;
        for (at, batch) in self.batches.iter().enumerate() {
            writeln!(f, "        batch {}  {batch}", at + 1)?;
        }
        Ok(())
    }
}

impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let full = self.committed * BAR_WIDTH / self.tasks.max(1);
        let bar: String = (0..BAR_WIDTH)
            .map(|at| if at < full { '#' } else { '.' })
            .collect();
        let state = self.state.as_deref().unwrap_or("done");
        write!(f, "{state:<8} {bar} {:>5} of {}", self.committed, self.tasks)?;
        if let Some(owner) = &self.owner {
            write!(f, "  share of {owner}")?;
        }
        if let Some(watcher) = &self.watcher {
            write!(f, "  locked by {watcher}")?;
        }
        let claimed: Vec<String> = self
            .claimed
            .iter()
            .map(|(who, tasks)| format!("{who} has {tasks}"))
            .collect();
        if !claimed.is_empty() {
            write!(f, "  now: {}", claimed.join(", "))?;
        }
        Ok(())
    }
}
