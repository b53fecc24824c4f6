//! What both stores show at one moment: whose share each batch is in, who works on it, how far it is.

use std::{collections::BTreeMap, fmt};

use anyhow::{Context as _, Result};
use distjob_core::{
    Holder, JobId, KeyScheme, Lease,
    share::{self, Sharing},
};
use harness::World;
use redis::{AsyncCommands as _, aio::MultiplexedConnection};

use super::{cast::Cast, status::Status};

const BAR_WIDTH: u64 = 20;

/// Takes scenes.
pub(super) struct Camera<'a> {
    world: &'a World,
    redis: MultiplexedConnection,
    keys: KeyScheme,
    jobs: Vec<JobId>,
    tasks_per_job: u64,
    /// In whose share each job was in the scene before.
    owners: BTreeMap<JobId, String>,
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
    /// In whose share it was in the scene before, if that was another one.
    moved_from: Option<String>,
    /// How many tasks each executor, dead ones included, has claimed and not committed yet.
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
        let keys = KeyScheme::new(world.prefix())?;
        let redis = world.redis().await?;
        Ok(Self {
            world,
            redis,
            keys,
            jobs,
            tasks_per_job,
            owners: BTreeMap::new(),
        })
    }

    /// What there is to see now.
    pub(super) async fn take(&mut self, cast: &Cast) -> Result<Scene> {
        let states = self.world.jobs().await?;
        let Status {
            executors,
            watchers,
            locks,
        } = Status::ask(self.world).await?;
        let owners = owners(&states, &executors);
        let mut batches = Vec::new();
        for id in self.jobs.clone() {
            let state = states.get(id.as_str()).and_then(|data| data.split('=').next());
            let owner = owners.get(id.as_str()).map(|owner| cast.label(owner).to_owned());
            let before = owner
                .clone()
                .and_then(|owner| self.owners.insert(id.clone(), owner));
            batches.push(Batch {
                state: state.map(str::to_owned),
                tasks: self.tasks_per_job,
                committed: self.committed(&id, state).await?,
                moved_from: before.filter(|before| owner.as_ref() != Some(before)),
                owner,
                claimed: self.claimed(&id, &executors, cast).await?,
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

    async fn committed(&mut self, id: &JobId, state: Option<&str>) -> Result<u64> {
        if state != Some("subm") {
            // No executor has anything left to do here, and the store may have dropped the job already.
            return Ok(self.tasks_per_job);
        }
        let committed: Option<u64> = self.redis.hget(self.keys.job(id).meta, "committed").await?;
        Ok(committed.unwrap_or(0))
    }

    async fn claimed(&mut self, id: &JobId, live: &[String], cast: &Cast) -> Result<BTreeMap<String, u64>> {
        let holders: BTreeMap<String, String> = self.redis.hgetall(self.keys.job(id).leases).await?;
        let mut claimed = BTreeMap::new();
        for (holder, leases) in holders {
            let name = holder.parse::<Holder>()?.name;
            let leases = Lease::parse_list(&leases).context("read the leases of an executor")?;
            let dead = if live.iter().any(|live| live == name.as_str()) {
                ""
            } else {
                ", dead,"
            };
            let who = format!("{}{dead}", cast.label(name.as_str()));
            claimed.insert(who, leases.iter().map(|lease| lease.range.len()).sum());
        }
        Ok(claimed)
    }
}

/// In whose share each submitted job is. The executors reckon the same, each for itself: there is no more to sharing.
fn owners<'a>(states: &'a BTreeMap<String, String>, executors: &'a [String]) -> BTreeMap<&'a str, &'a str> {
    let submitted = states.iter().filter(|(_, data)| data.starts_with("subm"));
    let submitted: Vec<&str> = submitted.map(|(id, _)| id.as_str()).collect();
    let owners = share::assign(Sharing::default(), &submitted, executors);
    submitted
        .into_iter()
        .zip(owners.into_iter().map(|owner| executors[owner].as_str()))
        .collect()
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
        writeln!(f, "{:>3} %  members: {}", self.percent(), self.members)?;
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
        if let Some(before) = &self.moved_from {
            write!(f, " (was {before}'s)")?;
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
