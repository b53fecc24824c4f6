//! What the suites of the intakes over the network share.

use anyhow::ensure;
use harness::{Process, World, eventually};

use crate::SOON;

/// Where an intake listens, as the log tells it behind `what`.
pub(crate) async fn listens(process: &Process, what: &str) -> String {
    let line = process.wait_log(what, SOON).await.unwrap();
    let (_, place) = line.split_once(what).unwrap();
    place.split_whitespace().next().unwrap().to_owned()
}

/// Waits until there are so many jobs.
pub(crate) async fn jobs_at_least(world: &World, count: usize) {
    eventually("the first jobs are there", SOON, async || {
        let jobs = world.jobs().await?.len();
        ensure!(jobs >= count, "{jobs}");
        Ok(())
    })
    .await;
}

/// Waits until this line stands in the metrics.
pub(crate) async fn metric(process: &Process, line: &str) {
    eventually("the metrics tell of it", SOON, async || {
        let metrics = process.admin_get("/metrics").await?.body;
        ensure!(metrics.lines().any(|known| known == line), "{line} in {metrics}");
        Ok(())
    })
    .await;
}
