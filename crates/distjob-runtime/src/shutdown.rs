//! Asking a program to stop or to reload, and giving it time for it.
//!
//! Whoever may be asked holds a clone of [`Stop`]; only signals, tests and the program itself ask. Nothing is
//! aborted from outside: each part sees the request in its own `select!`, finishes or releases what it holds, and
//! returns.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures::StreamExt as _;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook_tokio::Signals;
use tokio::sync::Notify;
use tokio::time::error::Elapsed;
use tokio_util::sync::CancellationToken;
use tracing::info;

/// The exit status after a second SIGTERM or SIGINT.
const INTERRUPTED: i32 = 1;

/// The request to stop. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Stop(CancellationToken);

impl Stop {
    /// A request that nobody has made yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the request; making it again changes nothing.
    pub fn request(&self) {
        self.0.cancel();
    }

    /// Whether it was made.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until it is made. Cancel safe.
    pub async fn requested(&self) {
        self.0.cancelled().await;
    }

    /// The outcome of `work`, or `None` when the request comes first; then `work` is dropped where it stands, so
    /// pass only what is cancel safe.
    pub async fn unless_requested<F: Future>(&self, work: F) -> Option<F::Output> {
        self.0.run_until_cancelled(work).await
    }
}

/// Requests to reload the configuration. Several that come before the first is answered are one.
#[derive(Clone, Debug, Default)]
pub struct Reloads(Arc<Notify>);

impl Reloads {
    /// Makes a request.
    pub fn request(&self) {
        self.0.notify_one();
    }

    /// Waits for the next request. Cancel safe. For a single waiter.
    pub async fn requested(&self) {
        self.0.notified().await;
    }
}

/// Waits for `work` to finish by itself, but no longer than `grace`; then it is dropped where it stands.
///
/// # Errors
/// When the time was over first.
pub async fn drain<F: Future>(grace: Duration, work: F) -> Result<F::Output, Elapsed> {
    tokio::time::timeout(grace, work).await
}

/// Lets the first SIGTERM or SIGINT request `stop`, the second end the process at once with status 1, and, if
/// `reloads` is given, SIGHUP request a reload. The returned future runs for ever.
///
/// The second signal is answered in the signal handler itself, so that it also ends a process that hangs.
///
/// # Errors
/// When the handlers cannot be installed. Must be called inside a tokio runtime.
pub fn signals(stop: Stop, reloads: Option<Reloads>) -> io::Result<impl Future<Output = ()> + Send + use<>> {
    let asked_before = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        // The order matters: the first signal must find the flag unset.
        signal_hook::flag::register_conditional_shutdown(signal, INTERRUPTED, Arc::clone(&asked_before))?;
        signal_hook::flag::register(signal, Arc::clone(&asked_before))?;
    }
    let mut wanted = vec![SIGTERM, SIGINT];
    wanted.extend(reloads.as_ref().map(|_| SIGHUP));
    let mut signals = Signals::new(wanted)?;
    Ok(async move {
        while let Some(signal) = signals.next().await {
            match (signal, &reloads) {
                (SIGHUP, Some(reloads)) => reloads.request(),
                _ => {
                    info!(signal, "asked to stop; a second signal ends the process at once");
                    stop.request();
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn a_request_reaches_every_clone() {
        let stop = Stop::new();
        let clone = stop.clone();
        assert!(!clone.is_requested());
        assert_eq!(stop.unless_requested(ready(1)).await, Some(1));
        stop.request();
        clone.requested().await;
        assert!(clone.is_requested());
        assert_eq!(clone.unless_requested(pending::<()>()).await, None);
    }

    #[tokio::test]
    async fn reloads_that_nobody_answered_yet_are_one() {
        let reloads = Reloads::default();
        reloads.request();
        reloads.request();
        reloads.requested().await;
        let second = tokio::time::timeout(Duration::ZERO, reloads.requested()).await;
        assert!(second.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_ends_with_its_work_or_with_its_time() {
        let grace = Duration::from_secs(30);
        assert_eq!(drain(grace, ready(7)).await.ok(), Some(7));
        assert!(drain(grace, pending::<()>()).await.is_err());
    }
}
