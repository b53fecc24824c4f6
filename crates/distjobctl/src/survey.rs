//! Reading both stores, many questions at a time.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::Context as _;
use distjob_core::{
    JobEntry, JobId, JobState, NameError, Role, Roster, Source, Zxid,
    belonging::Belonging,
    store::{Inspection, Status},
};
use distjob_runtime::{
    reach::Reach,
    zk::{JobRead, RosterView, ZkError},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;

/// Questions to one store that are under way at once.
const AT_ONCE: usize = 256;

/// A znode among the jobs that is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Unreadable {
    /// Its name.
    pub(crate) name: String,
    /// Why it is no job.
    pub(crate) reason: String,
}

/// All jobs of the ledger.
#[derive(Clone, Debug, Default)]
pub(crate) struct Survey {
    /// By id.
    pub(crate) jobs: BTreeMap<JobId, JobEntry>,
    /// What is no job, by name.
    pub(crate) unreadable: Vec<Unreadable>,
}

/// What the store knows of a job, as far as a list of jobs shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Tasks with an outcome.
    pub(crate) committed: u64,
    /// Those of them whose outcome is an error.
    pub(crate) failed: u64,
}

impl Survey {
    /// Reads all jobs.
    pub(crate) async fn read(reach: &Reach) -> anyhow::Result<Self> {
        let (names, _) = list(reach).await?;
        let mut reads = stream::iter(names)
            .map(|name| async move {
                let id = match JobId::new(name.as_str()) {
                    Ok(id) => id,
                    Err(error) => return anyhow::Ok((name, Err(error))),
                };
                let read = reach.zookeeper(|ledger| {
                    let id = id.clone();
                    async move { ledger.read(&id).await }
                });
                let read = read.await.with_context(|| format!("read job {id}"))?;
                Ok((name, Ok((id, read))))
            })
            .buffer_unordered(AT_ONCE);
        let mut survey = Self::default();
        while let Some((name, read)) = reads.try_next().await? {
            survey.take(name, read);
        }
        drop(reads);
        survey.unreadable.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(survey)
    }

    fn take(&mut self, name: String, read: Result<(JobId, JobRead), NameError>) {
        let reason = match read {
            Ok((id, JobRead::Job(entry))) => {
                self.jobs.insert(id, entry);
                return;
            }
            // It went while it was being read.
            Ok((_, JobRead::Gone)) => return,
            Ok((_, JobRead::Unreadable(_, error))) => format!("its data {error}"),
            Err(error) => format!("its name is no job's: {error}"),
        };
        self.unreadable.push(Unreadable { name, reason });
    }

    /// Asks the store about all jobs that may have something in it.
    pub(crate) async fn progress(&self, reach: &Reach) -> anyhow::Result<BTreeMap<JobId, Progress>> {
        let asked = self.jobs.iter().filter(|(_, entry)| is_in_store(entry));
        stream::iter(asked)
            .map(|(id, entry)| async move { Ok((id.clone(), progress(reach, id, entry).await?)) })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }
}

/// Whether the store may have something of a job.
pub(crate) const fn is_in_store(entry: &JobEntry) -> bool {
    entry.data.count > 0 && !matches!(entry.data.state, JobState::Uploaded)
}

/// How far the store says a job is.
pub(crate) async fn progress(reach: &Reach, id: &JobId, entry: &JobEntry) -> anyhow::Result<Progress> {
    let (count, source) = (entry.data.count, &entry.data.source);
    let status = reach
        .redis(|| reach.store().status(id, entry.life, count, source))
        .await
        .with_context(|| format!("ask redis about job {id}"))?;
    Ok(match status {
        Status::Open {
            committed, failed, ..
        } => Progress { committed, failed },
        Status::Gone | Status::Stale | Status::None(_) => Progress::default(),
    })
}

/// Reads one job, as all that was done before shows it.
pub(crate) async fn read_fresh(reach: &Reach, id: &JobId) -> anyhow::Result<JobRead> {
    reach
        .zookeeper(|ledger| async move { ledger.read_fresh(id).await })
        .await
        .with_context(|| format!("read job {id}"))
}

/// All that the store knows of a job.
pub(crate) async fn inspect(reach: &Reach, id: &JobId, source: &Source) -> anyhow::Result<Inspection> {
    reach
        .redis(|| reach.store().inspect(id, source))
        .await
        .with_context(|| format!("ask redis about job {id}"))
}

/// The names below the directory of jobs, and as of which zxid.
pub(crate) async fn list(reach: &Reach) -> anyhow::Result<(Vec<String>, Zxid)> {
    reach
        .zookeeper(|ledger| async move { ledger.list().await })
        .await
        .context("list the jobs")
}

/// All locks: the job's id and the watcher's name.
pub(crate) async fn locks(reach: &Reach) -> anyhow::Result<Vec<(String, String)>> {
    let mut locks = reach
        .zookeeper(|ledger| async move { ledger.locks().await })
        .await
        .context("list the locks")?;
    locks.sort();
    Ok(locks)
}

/// The members of one role.
pub(crate) async fn roster(reach: &Reach, role: Role) -> anyhow::Result<Arc<Roster>> {
    reach
        .zookeeper(|ledger| async move {
            let view = RosterView::follow(ledger.session().clone(), role, Duration::from_secs(3600));
            let mut rosters = view.subscribe();
            let first = rosters.wait_for(|roster| roster.as_of != Zxid::default()).await;
            first
                .map(|roster| Arc::clone(&roster))
                .map_err(|_| ZkError::SessionOver)
        })
        .await
        .with_context(|| format!("list the {role}s"))
}

/// How store and ledger stand to each other, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct LedgerReport {
    /// Creation zxid of the directory of jobs.
    pub(crate) id: String,
    /// `ours`, `unclaimed` (no mark, and no job yet), `unmarked`, or `foreign`.
    pub(crate) store: &'static str,
    /// What is wrong, and what to do.
    pub(crate) complaint: Option<String>,
}

impl LedgerReport {
    pub(crate) fn new(belonging: Belonging, ledger: Zxid) -> Self {
        Self {
            id: ledger.to_string(),
            store: match belonging {
                Belonging::Ours => "ours",
                Belonging::Unclaimed => "unclaimed",
                Belonging::Unmarked => "unmarked",
                Belonging::Foreign(_) => "foreign",
            },
            complaint: belonging.complaint(),
        }
    }
}
