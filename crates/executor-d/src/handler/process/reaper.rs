//! Ends the processes that nobody waits for any more.

use std::{sync::LazyLock, time::Duration};

use tokio::{runtime::Handle, sync::watch, time::timeout};

use super::group::Leader;
use crate::Config;

/// What it may take until a process that was killed is gone.
const SLACK: Duration = Duration::from_secs(1);

/// How many groups are being ended.
static DYING: LazyLock<watch::Sender<usize>> = LazyLock::new(|| watch::Sender::new(0));

/// One of [`DYING`].
struct Counted;

impl Counted {
    fn new() -> Self {
        DYING.send_modify(|count| *count += 1);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        DYING.send_modify(|count| *count -= 1);
    }
}

/// Ends a group in the background, after it had so long to end by itself; without a runtime, at once.
pub(super) fn adopt(mut leader: Leader, patience: Duration) {
    let Ok(runtime) = Handle::try_current() else {
        return;
    };
    let counted = Counted::new();
    runtime.spawn(async move {
        // What is left of the group when its leader has ended is ended, too.
        let _ = timeout(patience, leader.exited()).await;
        if let Err(error) = leader.end().await {
            tracing::warn!(%error, "failed to learn how a process ended");
        }
        drop(counted);
    });
}

/// Waits until all processes are gone that were left to be ended in the background, as long as the configuration gives
/// them, and a little longer.
///
/// # Cancel safety
/// Safe.
pub(crate) async fn processes_ended(config: &Config) {
    let queues = &config.executor.queues;
    let kill_after = queues
        .iter()
        .map(|queue| config.queue(queue).bounds.kill_after)
        .max();
    // One that was dismissed may take that long to end by itself, and as long again when it is told to.
    let left = all_gone(kill_after.unwrap_or_default() * 2 + SLACK).await;
    if left > 0 {
        tracing::warn!(left, "some processes are still there, though they were killed");
    }
}

/// As [`processes_ended`], at most for `limit`. Returns how many there still are.
pub(super) async fn all_gone(limit: Duration) -> usize {
    let mut dying = DYING.subscribe();
    // The sender is static, so the channel does not close.
    let _ = timeout(limit, dying.wait_for(|count| *count == 0)).await;
    *DYING.borrow()
}
