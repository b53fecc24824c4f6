//! What goes on beside a daemon's main loop: reloads, the watchdog, the beginning of the end.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior};
use tracing::{error, info, warn};

use crate::config::{Loaded, Settings};
use crate::health::{Heartbeat, Readiness};
use crate::shutdown::{Reloads, Stop};
use crate::systemd::Notifier;
use crate::telemetry::Telemetry;

pub(crate) struct Supervisor<T> {
    pub(crate) loaded: Loaded<T>,
    pub(crate) telemetry: Telemetry,
    pub(crate) updates: watch::Sender<Arc<T>>,
    pub(crate) stop: Stop,
    pub(crate) reloads: Reloads,
    pub(crate) readiness: Readiness,
    pub(crate) heartbeat: Heartbeat,
    pub(crate) notifier: Notifier,
    /// After so long a silence the service manager ends the process, if it watches.
    pub(crate) watchdog: Option<Duration>,
}

impl<T: Settings> Supervisor<T> {
    /// Runs for ever.
    pub(crate) async fn run(mut self) {
        let mut pings = self.watchdog.map(|limit| {
            let mut pings = tokio::time::interval(limit / 3);
            pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
            pings
        });
        let mut draining = false;
        loop {
            tokio::select! {
                () = self.stop.requested(), if !draining => {
                    draining = true;
                    self.notifier.stopping();
                    self.readiness.stopping();
                }
                () = self.reloads.requested() => self.reload(),
                () = tick(&mut pings) => {
                    // A main loop that hangs must not be kept alive by a task that does not.
                    if self.heartbeat.is_alive() {
                        self.notifier.watchdog();
                    } else {
                        error!(silence_s = self.heartbeat.silence().as_secs(), "the main loop hangs");
                    }
                }
            }
        }
    }

    fn reload(&mut self) {
        // Before the start is complete there is nothing that a reload could interrupt.
        let announce = self.readiness.was_announced();
        if announce {
            self.notifier.reloading();
        }
        self.take_over();
        if announce {
            self.notifier.ready();
        }
    }

    fn take_over(&mut self) {
        let reload = match self.loaded.reload() {
            Ok(reload) => reload,
            Err(error) => {
                for message in error.messages() {
                    error!("{message}");
                }
                error!("the new configuration is bad; the old one stays");
                return;
            }
        };
        if let Err(error) = self.telemetry.set_level(&reload.loaded.settings.log().level) {
            error!("{error}");
        }
        for change in &reload.applied {
            info!("configuration reloaded: {change}");
        }
        for change in &reload.pending {
            warn!("configuration changed, but takes effect only after a restart: {change}");
        }
        if reload.applied.is_empty() && reload.pending.is_empty() {
            info!("configuration reloaded: nothing has changed");
        }
        self.loaded = reload.loaded;
        if !reload.applied.is_empty() {
            self.updates.send_replace(Arc::clone(&self.loaded.settings));
        }
    }
}

/// Waits for the next tick; for ever when there are none. Cancel safe.
async fn tick(interval: &mut Option<Interval>) {
    match interval {
        Some(interval) => {
            interval.tick().await;
        }
        None => std::future::pending().await,
    }
}
