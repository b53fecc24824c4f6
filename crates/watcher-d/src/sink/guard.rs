//! Keeps a sink that fails, or is slow, from taking the pipelines that other sinks need.
//!
//! A delivery holds a [place](Place) as long as it takes: a pipeline, or if the job is light, only its place among those in
//! hand. So of a sink
//! - that failed last time, one job at a time finds out whether it is well again;
//! - that asked to be left alone for a while, none does until then;
//! - whose deliveries take long, no more begin while half of the places of that kind wait for it; and where more do, as they
//!   began together, [others take the places of some](Guarded::long). There are many places for light jobs, and on a slow disk
//!   as many of these may take long.
//!
//! A job that is turned away tries again after its own delay, as if the sink had failed, and what was collected of it stays
//! in the spool.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use distjob_core::{Roster, SinkName};
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::{Location, Parcel, Sink, SinkError};

/// From when on a delivery counts as one that takes long.
const LONG: Duration = Duration::from_secs(5);

/// What a delivery holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// One of the pipelines.
    Pipeline,
    /// None of them: the job is light, and only in hand.
    InHand,
}

/// How many places there are of each kind.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Places {
    /// Pipelines.
    pub(crate) pipelines: usize,
    /// Jobs in hand.
    pub(crate) in_hand: usize,
}

impl Places {
    /// So many deliveries of one sink that take long may hold such a place: half of them.
    fn long_max(self, place: Place) -> usize {
        let all = match place {
            Place::Pipeline => self.pipelines,
            Place::InHand => self.in_hand,
        };
        (all / 2).max(1)
    }
}

/// A sink, and how it is doing.
#[derive(Debug)]
pub(crate) struct Guarded {
    name: SinkName,
    sink: Arc<dyn Sink>,
    /// Shared with the deliveries that are under way.
    ways: Arc<Mutex<Ways>>,
}

/// The deliveries of one sink.
#[derive(Debug, Default)]
struct Ways {
    /// When each that is under way began, and what it holds.
    begun: Vec<(Instant, Place)>,
    /// Half of which it may take.
    places: Places,
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
    /// Whether a delivery that holds such a place may begin `now`.
    fn look(&self, now: Instant, place: Place) -> Result<(), Reason> {
        if let Some(until) = self.closed_until.filter(|until| *until > now) {
            return Err(Reason::Closed(until - now));
        }
        if self.is_failing && !self.begun.is_empty() {
            return Err(Reason::Failing);
        }
        let long = self.long(now, place);
        match long >= self.places.long_max(place) {
            true => Err(Reason::Slow(long)),
            false => Ok(()),
        }
    }

    /// How many that hold such a place take long.
    fn long(&self, now: Instant, place: Place) -> usize {
        let is_long = |(begun, holds): &&(Instant, Place)| *holds == place && now - *begun >= LONG;
        self.begun.iter().filter(is_long).count()
    }

    /// Takes notice of how a delivery ended.
    fn end(&mut self, now: Instant, failure: Option<&SinkError>) {
        self.is_failing = failure.is_some();
        self.closed_until = failure
            .and_then(SinkError::retry_after)
            .and_then(|wait| now.checked_add(wait));
    }

    fn leave(&mut self, way: (Instant, Place)) {
        if let Some(at) = self.begun.iter().position(|other| *other == way) {
            self.begun.swap_remove(at);
        }
    }
}

/// One delivery under way, which is over when this is dropped.
#[derive(Debug)]
pub(crate) struct Way {
    ways: Arc<Mutex<Ways>>,
    begun: (Instant, Place),
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
            ways: Arc::default(),
        }
    }

    /// Says of how many places it may take half.
    pub(crate) fn share(&self, places: Places) {
        locked(&self.ways).places = places;
    }

    /// How many deliveries are under way that take long, and so hold such a place that may be somebody else's.
    pub(crate) fn long(&self, place: Place) -> usize {
        locked(&self.ways).long(Instant::now(), place)
    }

    /// Why a job that holds such a place should not even be collected for it now.
    pub(crate) fn refusal(&self, place: Place) -> Option<SinkError> {
        let look = locked(&self.ways).look(Instant::now(), place);
        look.err().map(|reason| self.refused(reason))
    }

    /// As of [`Sink::is_near`].
    pub(crate) fn is_near(&self) -> bool {
        self.sink.is_near()
    }

    /// Begins a delivery that holds such a place, unless the sink is to be left alone now.
    ///
    /// # Errors
    /// Why it is.
    pub(crate) fn begin(&self, place: Place) -> Result<Way, SinkError> {
        self.enter(place).map_err(|reason| self.refused(reason))
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

    fn enter(&self, place: Place) -> Result<Way, Reason> {
        let begun = (Instant::now(), place);
        let mut ways = locked(&self.ways);
        ways.look(begun.0, place)?;
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

    const PIPELINE: Place = Place::Pipeline;

    fn failure() -> SinkError {
        SinkError::new("put it there")
    }

    /// Of a watcher with eight pipelines and a hundred jobs in hand.
    fn ways() -> Ways {
        Ways {
            places: Places {
                pipelines: 8,
                in_hand: 100,
            },
            ..Ways::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_sink_that_failed_is_tried_by_one_job_at_a_time_until_it_is_well_again() {
        let mut ways = ways();
        let now = Instant::now();
        ways.begun = vec![(now, PIPELINE)];
        ways.end(now, Some(&failure()));
        assert_eq!(ways.look(now, PIPELINE), Err(Reason::Failing));
        ways.leave((now, PIPELINE));
        assert_eq!(ways.look(now, PIPELINE), Ok(()));
        ways.begun.push((now, PIPELINE));
        assert_eq!(ways.look(now, PIPELINE), Err(Reason::Failing));
        ways.end(now, None);
        assert_eq!(ways.look(now, PIPELINE), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_sink_that_asked_for_it_is_left_alone_for_as_long() {
        let mut ways = ways();
        let now = Instant::now();
        ways.end(now, Some(&failure().after(Duration::from_secs(30))));
        let later = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(
            ways.look(later(10), PIPELINE),
            Err(Reason::Closed(Duration::from_secs(20)))
        );
        assert_eq!(ways.look(later(30), PIPELINE), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn deliveries_that_take_long_leave_room_for_others() {
        let (now, mut ways) = (Instant::now(), ways());
        ways.begun = vec![(now, PIPELINE); 4];
        assert_eq!(ways.look(now + LONG / 2, PIPELINE), Ok(()));
        assert_eq!(ways.look(now + LONG, PIPELINE), Err(Reason::Slow(4)));
        ways.leave((now, PIPELINE));
        assert_eq!(ways.look(now + LONG, PIPELINE), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn light_jobs_that_a_slow_disk_keeps_take_no_pipelines_and_leave_half_of_their_own_places() {
        let (now, mut ways) = (Instant::now(), ways());
        ways.begun = vec![(now, Place::InHand); 49];
        let later = now + LONG;
        assert_eq!(ways.look(later, Place::InHand), Ok(()));
        ways.begun.push((now, Place::InHand));
        assert_eq!(ways.look(later, Place::InHand), Err(Reason::Slow(50)));
        assert_eq!(ways.look(later, PIPELINE), Ok(()));
        assert_eq!(ways.long(later, PIPELINE), 0);
    }
}
