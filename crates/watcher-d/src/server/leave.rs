//! The end of a term.

use std::time::Duration;

use distjob_runtime::shutdown::drain;
use tokio::task::JoinSet;

use super::{Finished, Server, unwrap};

/// How long leaving itself may take, out of the grace period.
const LEAVING_MAX: Duration = Duration::from_secs(2);

impl Server<'_> {
    /// Lets pipelines finish within `grace`, gives up the others, and leaves.
    pub(super) async fn leave(mut self, grace: Duration) {
        let leaving = LEAVING_MAX.min(grace / 4).max(Duration::from_millis(500));
        // Who waits for a slot has not begun.
        self.tools.slots.close();
        let finish = async {
            tokio::select! {
                biased;
                () = finished(&mut self.pipelines) => {}
                _ = self.term.over() => {}
            }
        };
        if drain(grace.saturating_sub(leaving), finish).await.is_err() {
            tracing::info!(jobs = self.pipelines.len(), "giving up what is not finished");
        }
        self.tools.abandon.cancel();
        // What hangs now waits for ZooKeeper; the end of the session does the rest.
        let _ = drain(leaving / 2, finished(&mut self.pipelines)).await;
        self.pipelines.shutdown().await;
        self.chores.shutdown().await;
        drop(self.tools);
        let _ = drain(leaving / 2, async { self.term.leave().await.wait(leaving).await }).await;
    }
}

/// Waits until no pipeline runs.
async fn finished(pipelines: &mut JoinSet<Finished>) {
    while let Some(finished) = pipelines.join_next().await {
        unwrap(finished);
    }
}
