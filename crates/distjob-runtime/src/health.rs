//! Whether a daemon is alive, and whether it is ready.
//!
//! Alive means that its main loop turns: a matter of the process alone, whose remedy is a restart. Ready means that
//! every condition of the daemon's is met, such as a session or a store that answers: a restart would not help.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use crate::systemd::Notifier;

/// The longest silence of a main loop when no watchdog says otherwise.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// A reason that lasts is news again after so long.
const NEWS_EVERY: Duration = Duration::from_secs(600);

/// The beat of a daemon's main loop. Cheap to clone; all clones are one.
///
/// ```no_run
/// # async fn main_loop(heartbeat: distjob_runtime::health::Heartbeat) {
/// loop {
///     heartbeat.beat();
///     tokio::select! {
///         () = heartbeat.due() => {}
///         // ... what the loop is for
///     }
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Heartbeat(Arc<Beat>);

#[derive(Debug)]
struct Beat {
    start: Instant,
    last_ms: AtomicU64,
    silence_max: Duration,
}

impl Heartbeat {
    /// A heart that has just beaten, and is held for dead after `silence_max`, or 30 s.
    #[must_use]
    pub fn new(silence_max: Option<Duration>) -> Self {
        Self(Arc::new(Beat {
            start: Instant::now(),
            last_ms: AtomicU64::new(0),
            silence_max: silence_max.unwrap_or(SILENCE_MAX),
        }))
    }

    /// Says that the loop turns. Costs a look at the clock.
    pub fn beat(&self) {
        self.0.last_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    /// Whether the last beat is recent enough.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.silence() <= self.0.silence_max
    }

    /// How long ago the last beat was.
    #[must_use]
    pub fn silence(&self) -> Duration {
        Duration::from_millis(self.now_ms().saturating_sub(self.last_ms()))
    }

    /// Waits until an idle loop should turn only to beat: a quarter of the longest silence after the last beat.
    /// Cancel safe.
    pub async fn due(&self) {
        let last = self.0.start + Duration::from_millis(self.last_ms());
        tokio::time::sleep_until(last + self.0.silence_max / 4).await;
    }

    fn last_ms(&self) -> u64 {
        self.0.last_ms.load(Ordering::Relaxed)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.0.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// The conditions under which a daemon is ready. Cheap to clone; all clones are one.
///
/// The first time that all are met the service manager hears that the start is complete; at every change it hears
/// what is missing.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    notifier: Notifier,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The name of each condition and, while it is not met, why.
    conditions: Vec<(&'static str, Option<Reason>)>,
    /// All were met once.
    announced: bool,
    stopping: bool,
}

/// Why a condition is not met.
#[derive(Debug)]
struct Reason {
    why: String,
    /// When it was last news.
    told: Instant,
}

impl Reason {
    fn new(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            told: Instant::now(),
        }
    }
}

/// Whether a reason is worth a line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is another one than before, or has not been news for a long time.
    News,
    /// It was told before.
    Before,
}

impl State {
    /// Nothing, or what is missing.
    fn verdict(&self) -> Result<(), String> {
        if self.stopping {
            return Err("stopping".to_owned());
        }
        if self.conditions.is_empty() {
            return Err("starting".to_owned());
        }
        let missing: Vec<_> = self
            .conditions
            .iter()
            .filter_map(|(name, reason)| Some(format!("{name}: {}", reason.as_ref()?.why)))
            .collect();
        if missing.is_empty() {
            Ok(())
        } else {
            Err(missing.join("\n"))
        }
    }
}

/// One condition of a [`Readiness`], for the part of the daemon that knows about it.
#[derive(Clone, Debug)]
pub struct Condition {
    readiness: Readiness,
    index: usize,
}

impl Readiness {
    /// Not ready before conditions were named and met.
    #[must_use]
    pub fn new(notifier: Notifier) -> Self {
        Self(Arc::new(Shared {
            notifier,
            state: Mutex::default(),
        }))
    }

    /// Names conditions, none of them met yet. Name all before the first is met.
    #[must_use]
    pub fn require<const N: usize>(&self, names: [&'static str; N]) -> [Condition; N] {
        let mut first = 0;
        self.change(|state| {
            first = state.conditions.len();
            state
                .conditions
                .extend(names.map(|name| (name, Some(Reason::new("not yet")))));
        });
        std::array::from_fn(|offset| Condition {
            readiness: self.clone(),
            index: first + offset,
        })
    }

    /// Whether the daemon is ready.
    ///
    /// # Errors
    /// What is missing, one condition a line.
    pub fn verdict(&self) -> Result<(), String> {
        self.0
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .verdict()
    }

    /// Whether the daemon was ready at any time since its start.
    #[must_use]
    pub fn was_announced(&self) -> bool {
        self.0
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .announced
    }

    /// The daemon is no longer ready, for it is about to end.
    pub fn stopping(&self) {
        self.change(|state| state.stopping = true);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let was = state.verdict();
        change(&mut state);
        let is = state.verdict();
        if was == is {
            return;
        }
        let notifier = &self.0.notifier;
        match &is {
            Ok(()) => {
                info!("ready");
                notifier.status("ready");
                if !state.announced {
                    state.announced = true;
                    notifier.ready();
                }
            }
            Err(missing) => {
                if was.is_ok() && !state.stopping {
                    warn!(missing = missing.replace('\n', "; "), "no longer ready");
                }
                notifier.status(missing);
            }
        }
    }
}

impl Condition {
    /// The condition is met.
    pub fn met(&self) {
        self.readiness
            .change(|state| state.conditions[self.index].1 = None);
    }

    /// The condition is not met, for this reason, which fits behind its name and a colon. Whoever logs it too does so
    /// while it is news.
    pub fn unmet(&self, why: impl Into<String>) -> Told {
        let reason = Reason::new(why);
        let mut told = Told::News;
        self.readiness.change(|state| {
            let last = &mut state.conditions[self.index].1;
            let is_old = last
                .as_ref()
                .is_some_and(|last| last.why == reason.why && reason.told - last.told < NEWS_EVERY);
            if is_old {
                told = Told::Before;
            } else {
                *last = Some(reason);
            }
        });
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_beats_when_due_stays_alive_and_one_that_hangs_does_not() {
        let heartbeat = Heartbeat::new(Some(Duration::from_secs(8)));
        for _ in 0..10 {
            heartbeat.due().await;
            assert!(heartbeat.is_alive());
            assert_eq!(heartbeat.silence(), Duration::from_secs(2));
            heartbeat.beat();
        }
        tokio::time::advance(Duration::from_secs(9)).await;
        assert!(!heartbeat.is_alive());
        heartbeat.beat();
        assert!(heartbeat.is_alive());
    }

    #[tokio::test(start_paused = true)]
    async fn a_reason_is_news_when_it_changes_and_again_after_a_long_time() {
        let [condition] = Readiness::new(Notifier::new()).require(["ledger"]);
        assert_eq!(condition.unmet("wrong store"), Told::News);
        assert_eq!(condition.unmet("wrong store"), Told::Before);
        tokio::time::advance(NEWS_EVERY - Duration::from_secs(1)).await;
        assert_eq!(condition.unmet("wrong store"), Told::Before);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(condition.unmet("wrong store"), Told::News);
        assert_eq!(condition.unmet("no store"), Told::News);
        condition.met();
        assert_eq!(condition.unmet("no store"), Told::News);
    }

    #[test]
    fn readiness_is_announced_once_and_its_loss_is_explained() {
        let notifier = Notifier::new();
        let readiness = Readiness::new(notifier.clone());
        assert_eq!(readiness.verdict(), Err("starting".to_owned()));
        let [registered, redis] = readiness.require(["registered", "redis"]);
        assert_eq!(notifier.told(), ["STATUS=registered: not yet; redis: not yet"]);

        registered.met();
        assert_eq!(readiness.verdict(), Err("redis: not yet".to_owned()));
        redis.unmet("connection refused");
        redis.unmet("connection refused");
        assert_eq!(
            notifier.told(),
            ["STATUS=redis: not yet", "STATUS=redis: connection refused"]
        );
        assert!(!readiness.was_announced());

        redis.met();
        assert_eq!(readiness.verdict(), Ok(()));
        assert_eq!(notifier.told(), ["STATUS=ready", "READY=1"]);

        redis.unmet("timed out");
        assert_eq!(readiness.verdict(), Err("redis: timed out".to_owned()));
        redis.met();
        assert_eq!(notifier.told(), ["STATUS=redis: timed out", "STATUS=ready"]);

        readiness.stopping();
        assert_eq!(readiness.verdict(), Err("stopping".to_owned()));
        assert!(readiness.was_announced());
    }
}
