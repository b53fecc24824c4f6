//! What a session itself does to jobs, so that its view need not hasten to read what is no news; and whether the view has
//! heard of anything else that was done to them meanwhile, so that the session need not look itself.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use distjob_core::JobId;

/// The jobs that this session changes, or has changed since its view last read them.
#[derive(Debug, Default)]
pub(super) struct OwnWrites(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    jobs: HashMap<JobId, Own>,
    /// Whether a view hears of what happens to jobs.
    is_followed: bool,
}

/// How this session stands to a job.
#[derive(Debug, Clone, Copy)]
enum Own {
    /// Writes, or locks, of it are under way.
    UnderWay {
        /// How many.
        count: usize,
        /// Whether its life may have ended since they began.
        is_doubtful: bool,
    },
    /// It was changed; the view may not know how.
    Done,
}

impl OwnWrites {
    /// From now on a view hears of all that happens to jobs.
    pub(super) fn follow(&self) {
        self.lock().is_followed = true;
    }

    /// From now on nobody hears of what happens to jobs.
    pub(super) fn unfollow(&self) {
        let mut state = self.lock();
        state.is_followed = false;
        state.jobs.values_mut().for_each(Own::doubt);
    }

    /// Notes that the session is about to change a job, as long as the answer lives.
    pub(super) fn begin(self: &Arc<Self>, id: &JobId) -> OwnWrite {
        let mut state = self.lock();
        let is_doubtful = !state.is_followed;
        let own = match state.jobs.get(id) {
            Some(Own::UnderWay { count, is_doubtful }) => Own::UnderWay {
                count: count + 1,
                is_doubtful: *is_doubtful,
            },
            Some(Own::Done) | None => Own::UnderWay {
                count: 1,
                is_doubtful,
            },
        };
        state.jobs.insert(id.clone(), own);
        OwnWrite {
            writes: Arc::clone(self),
            id: id.clone(),
            is_done: AtomicBool::new(false),
        }
    }

    /// Whether what is heard of a job may be this session's own doing.
    pub(super) fn contains(&self, id: &JobId) -> bool {
        self.lock().jobs.contains_key(id)
    }

    /// A life of the job has begun or ended, as far as the view knows.
    pub(super) fn doubt(&self, id: &JobId) {
        if let Some(own) = self.lock().jobs.get_mut(id) {
            own.doubt();
        }
    }

    /// The view knows how the job stands.
    pub(super) fn forget(&self, id: &JobId) {
        let mut state = self.lock();
        if matches!(state.jobs.get(id), Some(Own::Done)) {
            state.jobs.remove(id);
        }
    }

    /// The view knows that no other jobs are there than those that are `listed`.
    pub(super) fn retain(&self, listed: impl Fn(&JobId) -> bool) {
        let is_kept = |id: &JobId, own: &mut Own| !matches!(own, Own::Done) || listed(id);
        self.lock().jobs.retain(is_kept);
    }

    fn end(&self, id: &JobId, is_done: bool) {
        let mut state = self.lock();
        match state.jobs.get_mut(id) {
            Some(Own::UnderWay { count, .. }) if *count > 1 => *count -= 1,
            Some(own @ Own::UnderWay { .. }) if is_done => *own = Own::Done,
            _ => {
                state.jobs.remove(id);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Own {
    fn doubt(&mut self) {
        if let Self::UnderWay { is_doubtful, .. } = self {
            *is_doubtful = true;
        }
    }
}

/// A change under way, see [`OwnWrites::begin`].
#[derive(Debug)]
pub(super) struct OwnWrite {
    writes: Arc<OwnWrites>,
    id: JobId,
    is_done: AtomicBool,
}

impl OwnWrite {
    /// It took effect, and what will be heard of the job next is most likely just that.
    pub(super) fn done(&self) {
        let is_followed = self.writes.lock().is_followed;
        self.is_done.store(is_followed, Ordering::Relaxed);
    }

    /// Whether a view has been there since this began, and has heard of no life of the job that began or ended.
    pub(super) fn is_undisturbed(&self) -> bool {
        matches!(
            self.writes.lock().jobs.get(&self.id),
            Some(Own::UnderWay {
                is_doubtful: false,
                ..
            })
        )
    }
}

impl PartialEq for OwnWrite {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for OwnWrite {}

impl Drop for OwnWrite {
    fn drop(&mut self) {
        self.writes.end(&self.id, *self.is_done.get_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_ones_own_until_it_has_failed_or_the_view_knows_what_came_of_it() {
        let (writes, id) = (Arc::new(OwnWrites::default()), JobId::new("job").unwrap());
        writes.follow();
        let (failed, done) = (writes.begin(&id), writes.begin(&id));
        drop(failed);
        assert!(writes.contains(&id), "another one is under way");
        done.done();
        writes.forget(&id);
        drop(done);
        assert!(writes.contains(&id), "that was read while it was under way");
        writes.forget(&id);
        assert!(!writes.contains(&id));
        drop(writes.begin(&id));
        assert!(!writes.contains(&id), "it had no effect");
    }

    #[test]
    fn nothing_is_remembered_where_nobody_follows() {
        let (writes, id) = (Arc::new(OwnWrites::default()), JobId::new("job").unwrap());
        let write = writes.begin(&id);
        write.done();
        drop(write);
        assert!(!writes.contains(&id));
    }

    #[test]
    fn a_write_is_undisturbed_while_a_view_hears_of_nothing() {
        let (writes, id) = (Arc::new(OwnWrites::default()), JobId::new("job").unwrap());
        let unseen = writes.begin(&id);
        writes.follow();
        assert!(!unseen.is_undisturbed(), "nobody looked when it began");
        drop(unseen);
        let heard_of = writes.begin(&id);
        assert!(heard_of.is_undisturbed());
        writes.doubt(&id);
        assert!(!heard_of.is_undisturbed());
        drop(heard_of);
        let cut_off = writes.begin(&id);
        writes.unfollow();
        writes.follow();
        assert!(!cut_off.is_undisturbed());
    }

    #[test]
    fn what_is_not_listed_any_more_is_forgotten_once_it_is_done() {
        let (writes, id) = (Arc::new(OwnWrites::default()), JobId::new("job").unwrap());
        writes.follow();
        let write = writes.begin(&id);
        writes.retain(|_| false);
        assert!(writes.contains(&id));
        write.done();
        drop(write);
        writes.retain(|_| true);
        assert!(writes.contains(&id));
        writes.retain(|_| false);
        assert!(!writes.contains(&id));
    }
}
