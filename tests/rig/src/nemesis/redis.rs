//! Faults of Redis.

use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, sleep};

use crate::history::Event;
use crate::plan::Step;
use crate::run::Stage;

const FLUSH_EVERY: Duration = Duration::from_millis(150);

/// SIGKILL; it comes back with its append-only file as it was.
pub(super) async fn kill(stage: &Stage, step: &Step) -> Result<()> {
    let redis = stage.cluster.store().primary();
    redis.kill().await?;
    sleep(step.lasts).await;
    redis.start().await
}

/// SIGKILL; it comes back without the tail of its append-only file.
pub(super) async fn cut_tail(stage: &Stage, step: &Step, bytes: u32) -> Result<()> {
    let store = stage.cluster.store();
    store.primary().kill().await?;
    let cut = store.cut_tail(bytes.into(), stage.warm())?;
    lost(stage, format!("{cut} bytes were cut off its append-only file"));
    sleep(step.lasts).await;
    store.primary().start().await?;
    store.rewrite_file().await
}

/// The replica takes the place of the primary, which comes back as its replica at the end.
pub(super) async fn promote(stage: &Stage, step: &Step) -> Result<()> {
    let store = stage.cluster.store();
    store.promote(stage.cluster.fabric()).await?;
    lost(stage, "the replica was promoted".to_owned());
    stage.stores.redis_is_at(stage.cluster.redis_url());
    sleep(step.lasts).await;
    store.rejoin().await
}

/// SIGSTOP, then SIGCONT.
pub(super) async fn pause(stage: &Stage, step: &Step) -> Result<()> {
    let redis = stage.cluster.store().primary();
    redis.pause()?;
    sleep(step.lasts).await;
    redis.resume()
}

/// `SCRIPT FLUSH`, again and again.
pub(super) async fn flush_scripts(stage: &Stage, step: &Step) -> Result<()> {
    let end = Instant::now() + step.lasts;
    while Instant::now() < end {
        stage.cluster.store().flush_scripts().await?;
        sleep(FLUSH_EVERY).await;
    }
    Ok(())
}

/// No memory for writes, then as much as it likes.
pub(super) async fn limit_memory(stage: &Stage, step: &Step) -> Result<()> {
    stage.cluster.store().limit_memory().await?;
    sleep(step.lasts).await;
    stage.cluster.store().free_memory().await
}

fn lost(stage: &Stage, why: String) {
    stage.recorder.record(Event::StoreLost { why });
}
