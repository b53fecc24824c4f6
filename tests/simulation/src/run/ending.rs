//! After the storm: whatever can end must end, within a bound; then everybody goes home.

use std::{collections::BTreeMap, time::Duration};

use distjob_core::{
    JobData, JobId, JobState, Source, Token, belonging::Belonging, store::MetaState, submission::Kept,
};
use distjob_runtime::zk::Written;
use tokio::time::{Instant, sleep, timeout};

use crate::{
    cluster::Cluster,
    history::{Answer, Attempt},
    network::Process,
    plan::How,
};

/// After the last fault everything has ended within this time. The longest wait is that for staged lists to expire.
const BOUND: Duration = Duration::from_secs(150);

/// A daemon that is asked to stop has stopped within this time, and the session of one that was killed is over.
const STOP_BOUND: Duration = Duration::from_secs(15);

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How a run ended.
pub(super) struct Settled {
    /// What had not ended within the bound.
    pub(super) unfinished: Vec<String>,
    /// When the last job had ended, in milliseconds after the last fault.
    pub(super) recovery_ms: u64,
}

/// Waits until everything has ended, and stops the daemons.
pub(super) async fn settle(cluster: &Cluster) -> Settled {
    let began = Instant::now();
    let mut recovery_ms = 0;
    cluster.accept_store().await;
    let mut buried = Vec::new();
    loop {
        for id in jobs_in(cluster, &[JobState::Lost]) {
            if !buried.contains(&id) {
                cluster.bury(id.clone()).await;
                buried.push(id);
            }
        }
        if !jobs_in(cluster, &JobState::ALL).is_empty() {
            recovery_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        }
        let unfinished = unfinished(cluster);
        if unfinished.is_empty() {
            break;
        }
        if began.elapsed() >= BOUND {
            return Settled {
                unfinished,
                recovery_ms,
            };
        }
        sleep(LOOK_EVERY).await;
    }
    Settled {
        unfinished: go_home(cluster).await,
        recovery_ms,
    }
}

/// Stops the daemons, and waits until the sessions of those that were killed are over, too. What goes on all the same.
async fn go_home(cluster: &Cluster) -> Vec<String> {
    let members = cluster.members();
    for node in &members {
        cluster.stop(*node);
    }
    let at_work = || {
        let runs = members.iter().filter(|node| cluster.runs(**node));
        let mut at_work: Vec<String> = runs
            .map(|node| format!("the daemon of node {} does not stop", node.0))
            .collect();
        let sessions = cluster.ensemble().sessions(None);
        at_work.extend(
            sessions
                .iter()
                .map(|session| format!("session {session:x} does not end")),
        );
        at_work
    };
    let all_stop = async {
        while !at_work().is_empty() {
            sleep(LOOK_EVERY).await;
        }
    };
    match timeout(STOP_BOUND, all_stop).await {
        Ok(()) => Vec::new(),
        Err(_) => at_work(),
    }
}

/// What is not over, in words.
fn unfinished(cluster: &Cluster) -> Vec<String> {
    let mut unfinished: Vec<String> = jobs_in(cluster, &JobState::ALL)
        .into_iter()
        .map(|id| format!("job {id} is still there"))
        .collect();
    if cluster.is_being_used() {
        unfinished.push("a submitter or the operator is still at work".to_owned());
    }
    let partials = cluster.shelf().partials();
    unfinished.extend(
        partials
            .iter()
            .map(|(holder, id)| format!("partial file {id} of {holder}")),
    );
    let damaged = cluster.redis().record().damaged;
    let keys = leftover_keys(cluster, Staged::Counts);
    let keys = keys.into_iter().filter(|(id, _)| !damaged.contains(id));
    unfinished.extend(keys.map(|(id, what)| format!("keys of {id}: {what}")));
    unfinished
}

/// The jobs in the ledger that are in one of these states.
fn jobs_in(cluster: &Cluster, states: &[JobState]) -> Vec<JobId> {
    let directory = format!("{}/", cluster.layout().jobs());
    let znodes = cluster.ensemble().znodes();
    let jobs = znodes.iter().filter_map(|(path, znode)| {
        let id = JobId::new(path.strip_prefix(&directory)?).ok()?;
        let data = JobData::parse(&znode.data).ok()?;
        states.contains(&data.state).then_some(id)
    });
    jobs.collect()
}

/// Whether lists that will expire count.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Staged {
    Counts,
    Expires,
}

/// The jobs of which the store still has something that ought to be gone by now: more than a tombstone, and no list
/// that a program pushed which then created no job.
pub(super) fn leftover_keys(cluster: &Cluster, staged: Staged) -> Vec<(JobId, String)> {
    let redis = cluster.redis();
    let attempts = cluster.history().attempts();
    let mut leftovers = Vec::new();
    for id in redis.jobs() {
        let Some(mut model) = redis.job(&id) else { continue };
        let is_orphan = |attempt: &Attempt| {
            attempt.submission.how == How::Plain
                && attempt.answer != Some(Answer::Created)
                && attempt.submission.id == id
        };
        if attempts.iter().any(is_orphan) {
            model.sources.remove(&Source::Plain);
        }
        // The failed tasks of a delivered job, be it of an earlier life, wait for a retry as long as its tombstone lives.
        model.sources.retain(|source, _| failed_token(source).is_none());
        // So may tasks that were staged for a job that somebody else then created with others.
        model.sources.retain(|source, _| !is_of_follow_up(source));
        if staged == Staged::Expires {
            model.sources.retain(|source, _| *source == Source::Plain);
        }
        let is_gone = model
            .meta
            .as_ref()
            .is_none_or(|meta| meta.state == MetaState::Gone);
        let is_empty = model.tasks.is_empty() && model.leases.is_empty() && model.freed.is_empty();
        if !(is_gone && is_empty && model.sources.is_empty() && model.results.is_empty()) {
            leftovers.push((id, format!("{model:?}")));
        }
    }
    leftovers
}

/// The lists of failed tasks that stand in the store.
pub(super) fn failed_lists(cluster: &Cluster) -> BTreeMap<(JobId, Token), Vec<Vec<u8>>> {
    let redis = cluster.redis();
    let jobs = redis.jobs().into_iter();
    let lists = jobs.flat_map(|id| {
        let sources = redis.job(&id).map(|model| model.sources).unwrap_or_default();
        sources
            .into_iter()
            .filter_map(move |(source, list)| Some(((id.clone(), failed_token(&source)?.clone()), list)))
    });
    lists.collect()
}

/// Whether tasks were staged there for a job that follows another one.
fn is_of_follow_up(source: &Source) -> bool {
    matches!(source, Source::Staged(token) if token.as_str().starts_with("then-"))
}

/// The token of a list of failed tasks.
fn failed_token(source: &Source) -> Option<&Token> {
    match source {
        Source::Staged(token) if token.as_str().starts_with(Kept::PREFIX) => Some(token),
        _ => None,
    }
}

impl Cluster {
    /// Lets the operator say that the store is the right one, when it has lost its mark.
    async fn accept_store(&self) {
        let cluster = self.clone();
        self.operate(move |process| Box::pin(async move { cluster.accept_store_as(process).await }))
            .await;
    }

    async fn accept_store_as(&self, process: Process) {
        let reach = self.reach(process);
        if let Ok((belonging, ledger)) = reach.belonging().await
            && belonging != Belonging::Ours
        {
            self.trace()
                .note(|| format!("the operator accepts the store: {belonging:?}"));
            // When this fails, nothing goes on, and the invariants say so.
            let _ = reach.store().accept_ledger(ledger).await;
        }
        reach.leave().await;
    }

    /// Lets the operator give up a job that is lost.
    async fn bury(&self, id: JobId) {
        let cluster = self.clone();
        self.operate(move |process| Box::pin(async move { cluster.bury_as(process, &id).await }))
            .await;
    }

    async fn bury_as(&self, process: Process, id: &JobId) {
        let reach = self.reach(process);
        let buried = reach
            .zookeeper(|ledger| async move {
                match ledger.read_fresh(id).await?.into_job() {
                    Some(entry) if entry.data.state == JobState::Lost => {
                        let cancelled = entry.data.in_state(JobState::Cancelled);
                        ledger.set(id, &entry, &cancelled).await
                    }
                    _ => Ok(Written::Yes),
                }
            })
            .await;
        self.trace()
            .note(|| format!("the operator gives up {id}: {buried:?}"));
        reach.leave().await;
    }
}
