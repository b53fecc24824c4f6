//! The end of a run: everything comes to rest, is looked at, and leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::future::try_join_all;
use harness::{is_delivered, within};
use tokio::time::{Instant, sleep};

use super::settings::SETTLE_WITHIN;
use super::{Post, Stage};
use crate::history::{Event, Leftovers};

/// Between two looks at the ledger.
const EVERY: Duration = Duration::from_millis(100);
/// How long the stores may take to answer after everything was healed.
const HEALED_WITHIN: Duration = Duration::from_secs(30);

/// Waits until every job has ended, counted from `healed`, cancels those that are lost, as an operator would, and lets `distjobctl gc` drop
/// what a rollback of Redis brought back.
pub(super) async fn settle(stage: &Stage, healed: Instant) -> Result<()> {
    let mut lost = BTreeSet::new();
    loop {
        let (gone, jobs): (BTreeMap<_, _>, BTreeMap<_, _>) = patiently(async || stage.stores.jobs().await)
            .await?
            .into_iter()
            .partition(|(_, job)| job.state == "lost");
        for id in gone.into_keys() {
            if lost.insert(id.clone()) {
                stage.recorder.record(Event::Lost { id });
            }
        }
        if jobs.is_empty() {
            let after_ms = u64::try_from(healed.elapsed().as_millis()).unwrap_or(u64::MAX);
            stage.recorder.record(Event::Settled { after_ms });
            break;
        }
        if healed.elapsed() > SETTLE_WITHIN {
            let left = jobs
                .into_iter()
                .map(|(id, job)| format!("{id}: {}", job.state))
                .collect();
            stage.recorder.record(Event::Unsettled { left });
            break;
        }
        sleep(EVERY).await;
    }
    for id in &lost {
        stage.workload.cancel(id).await?;
    }
    // A group whose last member was lost is joined only now, and its join may be lost, too.
    let cleaned = within(HEALED_WITHIN, async || {
        let jobs = stage.stores.jobs().await?;
        for (id, _) in jobs.iter().filter(|(_, job)| job.state == "lost") {
            if lost.insert(id.clone()) {
                stage.recorder.record(Event::Lost { id: id.clone() });
                stage.workload.cancel(id).await?;
            }
        }
        ensure!(jobs.is_empty(), "jobs are left: {jobs:?}");
        Ok(())
    });
    // What is left then is the checker's to judge.
    if let Err(error) = cleaned.await {
        eprintln!("{error:#}");
    }
    stage.workload.tidy().await?;
    let status = stage.workload.operate(&["gc"]).await?;
    ensure!(status.success(), "distjobctl gc ended with {status}");
    Ok(())
}

/// Lets every daemon leave, and records what is left of it all.
pub(super) async fn leave(stage: &Stage) -> Result<()> {
    let mut left = Leftovers::default();
    for post in stage.posts() {
        left.descriptors.extend(post.descriptors().await);
    }
    try_join_all(stage.posts().iter().map(Post::stop)).await?;
    for post in stage.posts() {
        left.processes
            .extend(post.running().await.map(|pid| format!("{} {pid}", post.name())));
    }
    left.znodes = patiently(async || stage.stores.znodes().await).await?;
    left.keys = patiently(async || stage.stores.keys().await).await?;
    files_left(&stage.cluster.sink().path(), &mut left.files)?;
    stage.cluster.outlets().record(&stage.recorder);
    stage.recorder.record(Event::Left(left));
    stage.cluster.sink().keep(&stage.dir.join("delivered"))
}

/// A look at healed stores, which may take them a moment.
async fn patiently<T>(look: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    within(HEALED_WITHIN, look).await
}

/// All files below the sink that are no delivered ones.
fn files_left(directory: &Path, left: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(directory).with_context(|| format!("list {}", directory.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            files_left(&path, left)?;
        } else if !is_delivered(&path) {
            left.push(path.display().to_string());
        }
    }
    Ok(())
}
