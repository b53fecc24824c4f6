//! Starts daemons again that ended by themselves, as a service manager does.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;

use super::Stage;

/// Between two looks.
const EVERY: Duration = Duration::from_millis(200);

/// Looks after all daemons. Never returns by itself; dropping it is fine.
///
/// # Errors
/// When one could not be started.
pub(super) async fn supervise(stage: &Stage) -> Result<Infallible> {
    loop {
        for post in stage.posts() {
            post.supervise().await?;
        }
        sleep(EVERY).await;
    }
}
