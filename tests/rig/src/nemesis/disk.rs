//! A full disk.

use anyhow::Result;
use tokio::time::sleep;

use crate::plan::Step;
use crate::run::Stage;

/// No space for delivered files, then again.
pub(super) async fn fill(stage: &Stage, step: &Step) -> Result<()> {
    stage.cluster.sink().fill()?;
    sleep(step.lasts).await;
    stage.cluster.sink().empty()
}
