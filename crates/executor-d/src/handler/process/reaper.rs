//! Ends the processes that nobody waits for any more.

use std::{sync::LazyLock, time::Duration};

use tokio::{runtime::Handle, sync::watch, time::timeout};

use super::group::Leader;

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

/// Waits until all processes are gone that were left to be ended in the background, at most for `limit`: each is killed
/// after the `kill_after` of its queue. Returns how many there still are.
///
/// # Cancel safety
/// Safe.
pub(crate) async fn all_gone(limit: Duration) -> usize {
    let mut dying = DYING.subscribe();
    // The sender is static, so the channel does not close.
    let _ = timeout(limit, dying.wait_for(|count| *count == 0)).await;
    *DYING.borrow()
}
