//! Faults of the handlers: jobs with one task each that aborts, hangs or bloats.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::{Instant, sleep};

use crate::expect::Flavour;
use crate::run::Stage;

/// How many tasks stand beside the special one.
const TASKS: u64 = 30;
/// After so long the fault is over, whether the job is or not: something else may hold it up.
const AT_MOST: Duration = Duration::from_secs(90);
/// Between two looks.
const EVERY: Duration = Duration::from_millis(100);
/// How long an executor with a task that never ends has to leave in good order before it is killed.
const PATIENCE: Duration = Duration::from_secs(1);

/// A task that takes its executors down with it, until it is given up.
pub(super) async fn abort(stage: &Stage) -> Result<()> {
    let (id, _) = stage.workload.submit_extra(Flavour::Poison, TASKS).await?;
    until_over(stage, &id, async || Ok(())).await
}

/// A task that takes more memory than its executors may have, until it is given up.
pub(super) async fn bloat(stage: &Stage) -> Result<()> {
    let (id, _) = stage.workload.submit_extra(Flavour::Bloat, TASKS).await?;
    until_over(stage, &id, async || Ok(())).await
}

/// A task that never ends. An executor that has it is asked to leave, and then killed, as an operator or a service
/// manager does, until the task is given up.
pub(super) async fn hang(stage: &Stage) -> Result<()> {
    let (id, count) = stage.workload.submit_extra(Flavour::Hang, TASKS).await?;
    let job = stage
        .workload
        .expected(&id)
        .context("the job was just submitted")?;
    let payload = job.payload(count / 2);
    let mut seen = BTreeMap::new();
    until_over(stage, &id, async || {
        for post in stage.posts() {
            let begun = post.executions_of(&payload).await?;
            if begun > seen.insert(post.name().to_owned(), begun).unwrap_or(0) {
                post.stop_within(PATIENCE).await?;
                post.start().await?;
            }
        }
        Ok(())
    })
    .await
}

/// Does `care` again and again until the job is over.
async fn until_over(stage: &Stage, id: &str, mut care: impl AsyncFnMut() -> Result<()>) -> Result<()> {
    let begun = Instant::now();
    loop {
        care().await?;
        sleep(EVERY).await;
        let is_over = stage.stores.jobs().await.is_ok_and(|jobs| !jobs.contains_key(id));
        if is_over || begun.elapsed() >= AT_MOST {
            return Ok(());
        }
    }
}
