//! Which jobs are to be read, and when.

use std::{
    cmp,
    collections::{BTreeSet, HashMap, VecDeque},
};

use distjob_core::JobId;
use tokio::time::Instant;

/// For how many requests there stays room when there are none.
const IDLE_CAPACITY_MAX: usize = 4096;

/// When a job is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum When {
    /// As soon as there is room.
    Now,
    /// Then.
    At(Instant),
}

/// How a job that is to be read stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Request {
    Later(Instant),
    Waiting,
    /// A read is under way, and another one may have to follow it.
    UnderWay(Option<When>),
}

/// The jobs that are to be read, each once: what is asked for again meanwhile is one request, the more urgent one.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    requests: HashMap<JobId, Request>,
    /// In the order of the requests; also jobs that need not be read any more.
    waiting: VecDeque<JobId>,
    later: BTreeSet<(Instant, JobId)>,
}

impl Agenda {
    /// Asks for a read of the job that starts after this call.
    pub(super) fn request(&mut self, id: JobId, when: When) {
        let request = match (self.requests.get(&id), when) {
            (Some(Request::Waiting), _) => return,
            (Some(Request::UnderWay(again)), _) => {
                Request::UnderWay(Some(again.map_or(when, |again| cmp::min(again, when))))
            }
            (Some(Request::Later(at)), When::At(then)) if *at <= then => return,
            (Some(Request::Later(at)), _) => {
                self.later.remove(&(*at, id.clone()));
                self.place(&id, when)
            }
            (None, _) => self.place(&id, when),
        };
        self.requests.insert(id, request);
    }

    fn place(&mut self, id: &JobId, when: When) -> Request {
        match when {
            When::Now => {
                self.waiting.push_back(id.clone());
                Request::Waiting
            }
            When::At(at) => {
                self.later.insert((at, id.clone()));
                Request::Later(at)
            }
        }
    }

    /// The job need not be read. `false` when a read is under way that tells of earlier times.
    pub(super) fn cancel(&mut self, id: &JobId) -> bool {
        match self.requests.get(id) {
            Some(Request::UnderWay(_)) => return false,
            Some(Request::Later(at)) => {
                self.later.remove(&(*at, id.clone()));
            }
            Some(Request::Waiting) | None => {}
        }
        self.requests.remove(id);
        true
    }

    /// When the next job that was left for later is to be read.
    pub(super) fn due_at(&self) -> Option<Instant> {
        self.later.first().map(|(at, _)| *at)
    }

    /// What was left until now is to be read.
    pub(super) fn wake(&mut self, now: Instant) {
        while self.later.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, id)) = self.later.pop_first() else {
                return;
            };
            self.waiting.push_back(id.clone());
            self.requests.insert(id, Request::Waiting);
        }
    }

    /// How many jobs wait to be read now, at most.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The next jobs to read, at most so many. Each is under way until it is [read](Self::finish).
    pub(super) fn start(&mut self, most: usize) -> Vec<JobId> {
        let mut started = Vec::new();
        while started.len() < most {
            let Some(id) = self.waiting.pop_front() else {
                break;
            };
            if let Some(request @ Request::Waiting) = self.requests.get_mut(&id) {
                *request = Request::UnderWay(None);
                started.push(id);
            }
        }
        started
    }

    /// A read of the job has come back.
    pub(super) fn finish(&mut self, id: &JobId) {
        if let Some(Request::UnderWay(Some(when))) = self.requests.remove(id) {
            self.request(id.clone(), when);
        }
        // What a long list took is not kept for ever.
        if self.requests.is_empty() && self.requests.capacity() > IDLE_CAPACITY_MAX {
            *self = Self::default();
        }
    }

    /// All jobs that are to be read.
    pub(super) fn ids(&self) -> impl Iterator<Item = &JobId> {
        self.requests.keys()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn id(name: &str) -> JobId {
        JobId::new(name).unwrap()
    }

    #[test]
    fn the_more_urgent_of_two_requests_counts() {
        let (mut agenda, now) = (Agenda::default(), Instant::now());
        let [soon, late] = [1, 2].map(|seconds| now + Duration::from_secs(seconds));
        agenda.request(id("a"), When::At(late));
        agenda.request(id("a"), When::At(soon));
        agenda.request(id("a"), When::At(late));
        assert_eq!((agenda.due_at(), agenda.waiting()), (Some(soon), 0));
        agenda.request(id("b"), When::Now);
        agenda.request(id("a"), When::Now);
        agenda.request(id("a"), When::At(soon));
        assert_eq!(agenda.due_at(), None);
        assert_eq!(agenda.start(9), [id("b"), id("a")]);
    }

    #[test]
    fn what_is_asked_for_while_a_read_is_under_way_is_read_again_afterwards() {
        let (mut agenda, now) = (Agenda::default(), Instant::now());
        agenda.request(id("a"), When::Now);
        assert_eq!(agenda.start(9), [id("a")]);
        agenda.request(id("a"), When::At(now));
        assert_eq!((agenda.start(9), agenda.due_at()), (vec![], None));
        agenda.finish(&id("a"));
        agenda.wake(now);
        assert_eq!(agenda.start(9), [id("a")]);
        agenda.finish(&id("a"));
        assert_eq!(agenda.ids().count(), 0);
    }

    #[test]
    fn what_is_cancelled_is_not_read_unless_it_is_under_way() {
        let (mut agenda, now) = (Agenda::default(), Instant::now());
        agenda.request(id("waits"), When::Now);
        agenda.request(id("later"), When::At(now));
        assert!(agenda.cancel(&id("waits")) && agenda.cancel(&id("later")) && agenda.cancel(&id("none")));
        agenda.wake(now);
        assert_eq!(agenda.start(9), []);
        agenda.request(id("waits"), When::Now);
        agenda.request(id("later"), When::Now);
        assert_eq!(
            agenda.start(1),
            [id("waits")],
            "once, though it was asked for twice"
        );
        assert!(!agenda.cancel(&id("waits")));
        assert_eq!(agenda.start(9), [id("later")]);
    }
}
