//! What a service manager is told: ready, reloading, stopping, alive, and how it goes.
//!
//! Without `NOTIFY_SOCKET` in the environment all of it does nothing.

use std::time::Duration;

use sd_notify::NotifyState;
use tracing::debug;

/// Tells the service manager. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Notifier {
    #[cfg(test)]
    told: std::sync::Arc<std::sync::Mutex<Vec<String>>>,
}

impl Notifier {
    /// A notifier for the service manager that started this process, if one did.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The start is complete.
    pub fn ready(&self) {
        self.tell(&[NotifyState::Ready]);
    }

    /// The configuration is being read again; [`ready`](Self::ready) ends that.
    pub fn reloading(&self) {
        // From version 253 on the service manager wants the time, too.
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.tell(&[NotifyState::Reloading, now]),
            Err(_) => self.tell(&[NotifyState::Reloading]),
        }
    }

    /// The end has begun.
    pub fn stopping(&self) {
        self.tell(&[NotifyState::Stopping]);
    }

    /// How it goes, in one line for `systemctl status`.
    pub fn status(&self, status: &str) {
        self.tell(&[NotifyState::Status(&status.replace('\n', "; "))]);
    }

    /// The process is alive.
    pub fn watchdog(&self) {
        self.tell(&[NotifyState::Watchdog]);
    }

    fn tell(&self, states: &[NotifyState<'_>]) {
        #[cfg(test)]
        self.told
            .lock()
            .unwrap()
            .extend(states.iter().map(ToString::to_string));
        if let Err(error) = sd_notify::notify(states) {
            debug!(%error, "cannot notify the service manager");
        }
    }

    /// What was told since the last call.
    #[cfg(test)]
    pub(crate) fn told(&self) -> Vec<String> {
        std::mem::take(&mut self.told.lock().unwrap())
    }
}

/// After how long a silence the service manager kills this process, if it watches.
#[must_use]
pub fn watchdog_limit() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero())
}
