//! Keeps a sink that fails, or is slow, from taking the pipelines that other sinks need.
//!
//! A delivery holds a pipeline as long as it takes. So of a sink
//! - that failed last time, one job at a time finds out whether it is well again;
//! - that asked to be left alone for a while, none does until then;
//! - whose deliveries take long, no more begin while half of the pipelines wait for it; and where more do, as they began
//!   together, [others take the places of some](Guarded::long).
//!
//! A job that is turned away tries again after its own delay, as if the sink had failed, and what was collected of it stays
//! in the spool.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use distjob_core::{Roster, SinkName};
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::{Location, Parcel, Sink, SinkError};

/// From when on a delivery counts as one that takes long.
const LONG: Duration = Duration::from_secs(5);

/// A sink, and how it is doing.
#[derive(Debug)]
pub(crate) struct Guarded {
    name: SinkName,
    sink: Arc<dyn Sink>,
    /// So many deliveries that take long may be under way.
    long_max: AtomicUsize,
    /// Shared with the deliveries that are under way.
    ways: Arc<Mutex<Ways>>,
}

/// The deliveries of one sink.
#[derive(Debug, Default)]
struct Ways {
    /// When each that is under way began.
    begun: Vec<Instant>,
    /// Whether the last that ended had failed.
    is_failing: bool,
    /// Until when the sink wants to be left alone.
    closed_until: Option<Instant>,
}

/// Why a delivery does not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Failing,
    Closed(Duration),
    Slow(usize),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failing => f.write_str("it failed, and another job finds out whether it is well again"),
            Self::Closed(_) => f.write_str("it asked to be left alone for a while"),
            Self::Slow(long) => write!(f, "it is slow, {long} jobs wait for it already"),
        }
    }
}

impl Ways {
    /// Whether a delivery may begin `now`.
    fn look(&self, now: Instant, long_max: usize) -> Result<(), Reason> {
        if let Some(until) = self.closed_until.filter(|until| *until > now) {
            return Err(Reason::Closed(until - now));
        }
        if self.is_failing && !self.begun.is_empty() {
            return Err(Reason::Failing);
        }
        let long = self.long(now);
        match long >= long_max {
            true => Err(Reason::Slow(long)),
            false => Ok(()),
        }
    }

    /// How many take long.
    fn long(&self, now: Instant) -> usize {
        self.begun.iter().filter(|begun| now - **begun >= LONG).count()
    }

    /// Takes notice of how a delivery ended.
    fn end(&mut self, now: Instant, failure: Option<&SinkError>) {
        self.is_failing = failure.is_some();
        self.closed_until = failure
            .and_then(SinkError::retry_after)
            .and_then(|wait| now.checked_add(wait));
    }

    fn leave(&mut self, begun: Instant) {
        if let Some(at) = self.begun.iter().position(|other| *other == begun) {
            self.begun.swap_remove(at);
        }
    }
}

/// One delivery under way, which is over when this is dropped.
#[derive(Debug)]
pub(crate) struct Way {
    ways: Arc<Mutex<Ways>>,
    begun: Instant,
}

impl Drop for Way {
    fn drop(&mut self) {
        locked(&self.ways).leave(self.begun);
    }
}

impl Guarded {
    pub(crate) fn new(name: SinkName, sink: Arc<dyn Sink>) -> Self {
        Self {
            name,
            sink,
            long_max: AtomicUsize::new(1),
            ways: Arc::default(),
        }
    }

    /// Says of how many pipelines it may take half.
    pub(crate) fn share(&self, pipelines: usize) {
        self.long_max.store((pipelines / 2).max(1), Ordering::Relaxed);
    }

    /// How many deliveries are under way that take long, and so hold a pipeline that may be somebody else's.
    pub(crate) fn long(&self) -> usize {
        locked(&self.ways).long(Instant::now())
    }

    /// Why a job should not even be collected for it now.
    pub(crate) fn refusal(&self) -> Option<SinkError> {
        let look = locked(&self.ways).look(Instant::now(), self.long_max.load(Ordering::Relaxed));
        look.err().map(|reason| self.refused(reason))
    }

    /// As of [`Sink::is_near`].
    pub(crate) fn is_near(&self) -> bool {
        self.sink.is_near()
    }

    /// Begins a delivery, unless the sink is to be left alone now.
    ///
    /// # Errors
    /// Why it is.
    pub(crate) fn begin(&self) -> Result<Way, SinkError> {
        self.enter().map_err(|reason| self.refused(reason))
    }

    /// Brings a result to the sink, on a way that was [begun](Self::begin).
    ///
    /// # Errors
    /// Those of the sink.
    pub(crate) async fn deliver(&self, way: Way, parcel: Arc<Parcel>) -> Result<Location, SinkError> {
        let outcome = self.sink.deliver(parcel).await;
        locked(&way.ways).end(Instant::now(), outcome.as_ref().err());
        outcome
    }

    /// As of [`Sink::sweep`].
    pub(crate) fn sweep(&self, roster: Arc<Roster>) -> BoxFuture<'static, Result<usize, SinkError>> {
        self.sink.sweep(roster)
    }

    fn enter(&self) -> Result<Way, Reason> {
        let begun = Instant::now();
        let mut ways = locked(&self.ways);
        ways.look(begun, self.long_max.load(Ordering::Relaxed))?;
        ways.begun.push(begun);
        Ok(Way {
            ways: Arc::clone(&self.ways),
            begun,
        })
    }

    fn refused(&self, reason: Reason) -> SinkError {
        let error = SinkError::new(format!("begin a delivery to {}: {reason}", self.name));
        match reason {
            Reason::Closed(wait) => error.after(wait),
            Reason::Failing | Reason::Slow(_) => error,
        }
    }
}

fn locked(ways: &Mutex<Ways>) -> MutexGuard<'_, Ways> {
    ways.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure() -> SinkError {
        SinkError::new("put it there")
    }

    #[tokio::test(start_paused = true)]
    async fn a_sink_that_failed_is_tried_by_one_job_at_a_time_until_it_is_well_again() {
        let mut ways = Ways::default();
        let now = Instant::now();
        ways.begun = vec![now];
        ways.end(now, Some(&failure()));
        assert_eq!(ways.look(now, 4), Err(Reason::Failing));
        ways.leave(now);
        assert_eq!(ways.look(now, 4), Ok(()));
        ways.begun.push(now);
        assert_eq!(ways.look(now, 4), Err(Reason::Failing));
        ways.end(now, None);
        assert_eq!(ways.look(now, 4), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_sink_that_asked_for_it_is_left_alone_for_as_long() {
        let mut ways = Ways::default();
        let now = Instant::now();
        ways.end(now, Some(&failure().after(Duration::from_secs(30))));
        let later = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(
            ways.look(later(10), 4),
            Err(Reason::Closed(Duration::from_secs(20)))
        );
        assert_eq!(ways.look(later(30), 4), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn deliveries_that_take_long_leave_room_for_others() {
        let now = Instant::now();
        let ways = Ways {
            begun: vec![now; 4],
            ..Ways::default()
        };
        assert_eq!(ways.look(now + LONG / 2, 2), Ok(()));
        assert_eq!(ways.look(now + LONG, 2), Err(Reason::Slow(4)));
        assert_eq!(ways.look(now + LONG, 5), Ok(()));
    }
}
