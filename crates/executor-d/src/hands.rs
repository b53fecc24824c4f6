//! What the executor holds right now.

use std::collections::{BTreeMap, BTreeSet};

use distjob_core::{JobId, TaskRange, Zxid};

/// The leases in hand, and the jobs on which there may be some that nobody knows of.
#[derive(Debug, Default)]
pub(crate) struct Hands {
    held: BTreeMap<JobId, Held>,
    /// Jobs with a request whose reply was unclear: the store may lease us what we do not know of.
    doubtful: BTreeSet<(JobId, Zxid)>,
    leases: usize,
}

#[derive(Debug)]
struct Held {
    life: Zxid,
    /// What there is work on. No two overlap.
    ranges: BTreeSet<TaskRange>,
}

impl Hands {
    /// How many leases there are.
    pub(crate) fn leases(&self) -> usize {
        self.leases
    }

    /// Takes a lease. `false` when there is work on some of its tasks already.
    #[must_use]
    pub(crate) fn take(&mut self, id: &JobId, life: Zxid, range: TaskRange) -> bool {
        let held = self.held.entry(id.clone()).or_insert_with(|| Held {
            life,
            ranges: BTreeSet::new(),
        });
        if held.life != life {
            // A new life of the id: the old one's leases ended with its keys.
            self.leases -= held.ranges.len();
            *held = Held {
                life,
                ranges: BTreeSet::new(),
            };
        }
        let is_new = !held.ranges.iter().any(|known| known.overlaps(range));
        if is_new {
            held.ranges.insert(range);
            self.leases += 1;
        }
        is_new
    }

    /// Puts a lease down.
    pub(crate) fn put_down(&mut self, id: &JobId, life: Zxid, range: TaskRange) {
        let Some(held) = self.held.get_mut(id).filter(|held| held.life == life) else {
            return;
        };
        self.leases -= usize::from(held.ranges.remove(&range));
        if held.ranges.is_empty() {
            self.held.remove(id);
        }
    }

    /// What there is work on in this job.
    pub(crate) fn ranges(&self, id: &JobId, life: Zxid) -> Vec<TaskRange> {
        let held = self.held.get(id).filter(|held| held.life == life);
        held.map(|held| held.ranges.iter().copied().collect())
            .unwrap_or_default()
    }

    /// Notes that the store may lease us something on this job that we do not know of.
    pub(crate) fn doubt(&mut self, id: &JobId, life: Zxid) {
        self.doubtful.insert((id.clone(), life));
    }

    /// Forgets all doubts about jobs that are not wanted any more.
    pub(crate) fn forget_doubts(&mut self, is_wanted: impl Fn(&JobId, Zxid) -> bool) {
        self.doubtful.retain(|(id, life)| is_wanted(id, *life));
    }

    /// All doubtful jobs.
    pub(crate) fn doubtful(&self) -> impl Iterator<Item = &(JobId, Zxid)> {
        self.doubtful.iter()
    }

    /// All jobs on which the store may lease us something.
    pub(crate) fn jobs(&self) -> BTreeSet<(JobId, Zxid)> {
        let held = self.held.iter().map(|(id, held)| (id.clone(), held.life));
        held.chain(self.doubtful.iter().cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> JobId {
        JobId::new(name).unwrap()
    }

    fn range(lo: u64, hi: u64) -> TaskRange {
        TaskRange::new(lo, hi).unwrap()
    }

    #[test]
    fn a_lease_is_new_when_none_of_its_tasks_is_in_hand_within_one_life_of_its_job() {
        let (mut hands, job) = (Hands::default(), id("a"));
        assert!(hands.take(&job, Zxid::new(1), range(0, 10)));
        for known in [range(0, 10), range(3, 5), range(9, 12)] {
            assert!(!hands.take(&job, Zxid::new(1), known), "{known}");
        }
        assert!(hands.take(&job, Zxid::new(1), range(10, 20)));
        assert_eq!(hands.ranges(&job, Zxid::new(1)), [range(0, 10), range(10, 20)]);
        assert_eq!(hands.ranges(&job, Zxid::new(2)), []);
        assert!(hands.take(&job, Zxid::new(2), range(0, 10)));
        assert_eq!(hands.ranges(&job, Zxid::new(2)), [range(0, 10)]);
        assert_eq!(hands.leases(), 1);
        hands.put_down(&job, Zxid::new(1), range(0, 10));
        assert_eq!(hands.leases(), 1);
        hands.put_down(&job, Zxid::new(2), range(0, 10));
        assert_eq!((hands.leases(), hands.jobs().len()), (0, 0));
    }

    #[test]
    fn doubts_last_until_the_job_is_not_wanted_any_more() {
        let mut hands = Hands::default();
        hands.doubt(&id("a"), Zxid::new(1));
        hands.doubt(&id("b"), Zxid::new(2));
        hands.forget_doubts(|job, _| job.as_str() == "b");
        assert_eq!(hands.doubtful().collect::<Vec<_>>(), [&(id("b"), Zxid::new(2))]);
    }
}
