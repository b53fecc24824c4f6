//! What all parts of a run share.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::post::Post;
use super::settings::{EXECUTORS, SUBMITTERS, Settings, WATCHERS};
use crate::cluster::{Cluster, Mood, Offset};
use crate::expect::{Flavour, QUEUES};
use crate::history::{Network, Recorder, Role};
use crate::net::{Fabric, Host};
use crate::plan::Victim;
use crate::stores::Stores;
use crate::workload::Workload;

/// A run that is set up.
#[derive(Debug)]
pub(crate) struct Stage {
    // Daemons before the servers and hosts that they need: fields are dropped in this order.
    posts: Vec<Post>,
    /// The jobs.
    pub(crate) workload: Arc<Workload>,
    /// The rig's own eyes.
    pub(crate) stores: Arc<Stores>,
    /// What happened.
    pub(crate) recorder: Arc<Recorder>,
    /// The servers and hosts.
    pub(crate) cluster: Arc<Cluster>,
    warm: OnceLock<Offset>,
    /// For how long faults happen.
    pub(crate) length: Duration,
    /// The run's directory.
    pub(crate) dir: PathBuf,
}

impl Stage {
    /// Starts servers and daemons.
    pub(super) async fn set(settings: &Settings) -> Result<Stage> {
        fs::create_dir_all(&settings.dir).with_context(|| format!("create {}", settings.dir.display()))?;
        let recorder = Arc::new(Recorder::create(&settings.dir.join(Settings::HISTORY))?);
        let cluster = Arc::new(Cluster::start(settings.cluster()).await?);
        let stores = Arc::new(Stores::new(cluster.zookeeper(), cluster.redis_url()));
        let workload = Arc::new(Workload::new(
            Arc::clone(&cluster),
            Arc::clone(&stores),
            Arc::clone(&recorder),
            (settings.seed, SUBMITTERS),
        ));
        let mut posts = Vec::new();
        for (role, count) in [(Role::Executor, EXECUTORS), (Role::Watcher, WATCHERS)] {
            for number in 1..=count {
                let (cluster, recorder) = (Arc::clone(&cluster), Arc::clone(&recorder));
                posts.push(Post::new(role, format!("{role}-{number}"), cluster, recorder));
            }
        }
        for post in &posts {
            post.start().await?;
        }
        let (length, dir) = (settings.length(), settings.dir.clone());
        let warm = OnceLock::new();
        Ok(Stage {
            warm,
            posts,
            workload,
            stores,
            recorder,
            cluster,
            length,
            dir,
        })
    }

    /// All daemons.
    pub(crate) fn posts(&self) -> &[Post] {
        &self.posts
    }

    /// The daemon that a fault harms.
    pub(crate) fn post(&self, victim: Victim) -> Result<&Post> {
        let name = victim.to_string();
        self.posts
            .iter()
            .find(|post| post.name() == name)
            .with_context(|| format!("there is no {name}"))
    }

    /// The host of a daemon, or of submitters.
    pub(crate) async fn host(&self, victim: Victim) -> Result<Host> {
        self.cluster.host(&victim.to_string()).await
    }

    /// All hosts but the rig's own.
    pub(crate) async fn hosts(&self) -> Result<Vec<Host>> {
        let mut hosts = self.cluster.ledger().hosts().to_vec();
        hosts.extend_from_slice(self.cluster.store().hosts());
        let submitters = (1..=SUBMITTERS).map(|number| Victim::Submitter(number).to_string());
        for name in self
            .posts
            .iter()
            .map(|post| post.name().to_owned())
            .chain(submitters)
        {
            hosts.push(self.cluster.host(&name).await?);
        }
        Ok(hosts)
    }

    /// How far Redis' file was when everything had begun to work; what is before that is never cut off.
    pub(crate) fn warm(&self) -> Option<&Offset> {
        self.warm.get()
    }

    /// How processes are kept apart.
    pub(super) fn network(&self) -> Network {
        match self.cluster.fabric() {
            Fabric::Namespaces(_) => Network::Namespaces,
            Fabric::Loopback(_) => Network::Loopback,
        }
    }

    /// Notes that everything works, see [`Stage::warm`].
    pub(super) fn is_warm(&self) -> Result<()> {
        let end = self.cluster.store().end_of_file()?;
        self.warm.get_or_init(|| end);
        Ok(())
    }

    /// The ids of all jobs that were delivered so far.
    pub(super) fn delivered(&self) -> Result<BTreeSet<String>> {
        let mut ids = BTreeSet::new();
        for queue in QUEUES {
            let directory = self.cluster.sink().path().join(queue);
            if !directory.is_dir() {
                continue;
            }
            for entry in fs::read_dir(&directory).with_context(|| format!("list {}", directory.display()))? {
                let path = entry?.path();
                let is_result = ["jsonl", "zip"].map(|ending| path.extension() == Some(OsStr::new(ending)));
                if is_result.contains(&true) {
                    ids.extend(path.file_stem().and_then(OsStr::to_str).map(str::to_owned));
                }
            }
        }
        Ok(ids)
    }

    /// How many whole lines the delivered file of a job has.
    pub(super) fn lines(&self, id: &str) -> Result<u64> {
        let queue = Flavour::of(id).map_or("", Flavour::queue);
        let path = self.cluster.sink().path().join(queue).join(format!("{id}.jsonl"));
        let bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        Ok(bytes.iter().filter(|byte| **byte == b'\n').count() as u64)
    }

    /// Makes everything whole again, whatever is broken: what faults did they have undone themselves, but a pair may have
    /// left what neither of them knew of.
    pub(super) async fn heal(&self) -> Result<()> {
        self.cluster.fabric().heal_all();
        self.cluster.sink().empty()?;
        self.cluster.outlets().set_mood(Mood::Well);
        self.cluster.ledger().start_missing().await?;
        for post in &self.posts {
            post.start_if_down().await?;
        }
        Ok(())
    }
}
