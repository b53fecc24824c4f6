//! What goes on beside a daemon's main loop: reloads, the beginning of the end, the watchdog.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
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
    pub(crate) notifier: Notifier,
}

impl<T: Settings> Supervisor<T> {
    /// Runs for ever.
    pub(crate) async fn run(mut self) {
        let mut draining = false;
        loop {
            tokio::select! {
                () = self.stop.requested(), if !draining => {
                    draining = true;
                    self.notifier.stopping();
                    self.readiness.stopping();
                }
                () = self.reloads.requested() => self.reload(),
            }
        }
    }

    fn reload(&mut self) {
        // Before the start is complete, and after the end has begun, the service manager has nothing to wait for.
        let announce = self.readiness.was_announced() && !self.stop.is_requested();
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

/// Tells the service manager, which holds the process for dead after a silence of `limit`, that it is alive, for as
/// long as its main loop turns. Runs for ever.
pub(crate) async fn feed_watchdog(limit: Duration, heartbeat: Heartbeat, notifier: Notifier) {
    let mut ticks = tokio::time::interval(limit / 3);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // A main loop that hangs must not be kept alive by a task that does not.
        if heartbeat.is_alive() {
            notifier.watchdog();
        } else {
            error!(silence_s = heartbeat.silence().as_secs(), "the main loop hangs");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_watchdog_is_fed_only_while_the_main_loop_turns() {
        let limit = Duration::from_secs(30);
        let heartbeat = Heartbeat::new(Some(limit));
        let notifier = Notifier::new();
        let feeder = tokio::spawn(feed_watchdog(limit, heartbeat.clone(), notifier.clone()));
        for _ in 0..10 {
            heartbeat.beat();
            tokio::time::sleep(limit / 2).await;
        }
        let fed = notifier.told().len();
        assert!(
            (14..=16).contains(&fed),
            "every ten seconds for 150, not {fed} times"
        );

        tokio::time::sleep(limit).await;
        notifier.told();
        tokio::time::sleep(limit * 10).await;
        assert_eq!(notifier.told(), [""; 0], "nothing beats, so nothing is said");
        feeder.abort();
    }
}
