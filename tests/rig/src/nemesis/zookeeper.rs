//! Faults of the ZooKeeper servers.

use std::time::Duration;

use anyhow::{Context as _, Result};
use harness::within;
use tokio::time::sleep;

use crate::plan::Step;
use crate::run::Stage;

/// The servers may be choosing one.
const LEADS_WITHIN: Duration = Duration::from_secs(20);

/// SIGKILL of the server that leads; it comes back at the end.
pub(super) async fn kill_leader(stage: &Stage, step: &Step) -> Result<()> {
    kill_some(stage, step, 1).await
}

/// SIGKILL of the server that leads and of another one; both come back at the end.
pub(super) async fn lose_quorum(stage: &Stage, step: &Step) -> Result<()> {
    kill_some(stage, step, 2).await
}

async fn kill_some(stage: &Stage, step: &Step, count: usize) -> Result<()> {
    let ledger = stage.cluster.ledger();
    let leader = within(LEADS_WITHIN, async || ledger.leader_number().await);
    let leader = leader.await.context("find the leader")?;
    for server in ledger.members().iter().cycle().skip(leader).take(count) {
        server.kill().await?;
    }
    sleep(step.lasts).await;
    ledger.start_missing().await
}

/// Each server is stopped in good order and started again, and serves before the next one's turn.
pub(super) async fn rolling_restart(stage: &Stage) -> Result<()> {
    for server in stage.cluster.ledger().members() {
        server.restart().await?;
    }
    Ok(())
}
