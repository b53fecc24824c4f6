//! What the executor holds right now.

use std::collections::{BTreeMap, BTreeSet};

use distjob_core::{JobId, TaskRange, Zxid};

use crate::grip::Grip;

/// The tasks in hand, job by job, and the jobs on which there may be leases that nobody knows of.
#[derive(Debug, Default)]
pub(crate) struct Hands {
    held: BTreeMap<JobId, Held>,
    /// Jobs with a request whose reply was unclear: the store may lease us what we do not know of.
    doubtful: BTreeSet<(JobId, Zxid)>,
}

#[derive(Debug)]
struct Held {
    life: Zxid,
    grip: Grip,
    /// Whether a visit is under way.
    is_visited: bool,
}

impl Hands {
    /// Whether nothing is in hand.
    pub(crate) fn are_empty(&self) -> bool {
        self.held.values().all(|held| held.grip.len() == 0)
    }

    /// How many ranges are in hand.
    pub(crate) fn ranges(&self) -> usize {
        self.held.values().map(|held| held.grip.len()).sum()
    }

    /// A visit to the job begins. Answers what is in hand of it.
    pub(crate) fn begin_visit(&mut self, id: &JobId, life: Zxid) -> Vec<TaskRange> {
        let held = self.of(id, life);
        held.is_visited = true;
        held.grip.begin_visit()
    }

    /// Takes a lease that a visit brought. `None` when something of it is in hand already, or was while the visit was under
    /// way: then the answer was overtaken, and says nothing about what the store leases us now.
    #[must_use]
    pub(crate) fn take(&mut self, id: &JobId, life: Zxid, range: TaskRange) -> Option<Grip> {
        let held = self.of(id, life);
        held.grip.take(range).then(|| held.grip.clone())
    }

    /// The visit to the job is over, and what it brought was taken.
    pub(crate) fn end_visit(&mut self, id: &JobId, life: Zxid) {
        if let Some(held) = self.held.get_mut(id).filter(|held| held.life == life) {
            held.is_visited = false;
            held.grip.end_visit();
        }
        self.forget_if_empty(id);
    }

    /// Takes notice that whoever ran tasks of this job may have let go of them.
    pub(crate) fn tidy(&mut self, id: &JobId) {
        self.forget_if_empty(id);
    }

    /// What is held of a job in this life. Another life's leases ended with its keys.
    fn of(&mut self, id: &JobId, life: Zxid) -> &mut Held {
        let new = || Held {
            life,
            grip: Grip::default(),
            is_visited: false,
        };
        let held = self.held.entry(id.clone()).or_insert_with(new);
        if held.life != life {
            *held = new();
        }
        held
    }

    fn forget_if_empty(&mut self, id: &JobId) {
        let is_empty = |held: &Held| held.grip.is_spent() && !held.is_visited;
        if self.held.get(id).is_some_and(is_empty) {
            self.held.remove(id);
        }
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

    const LIFE: Zxid = Zxid::new(1);

    fn id(name: &str) -> JobId {
        JobId::new(name).unwrap()
    }

    fn range(lo: u64, hi: u64) -> TaskRange {
        TaskRange::new(lo, hi).unwrap()
    }

    #[test]
    fn a_lease_is_new_when_none_of_its_tasks_is_in_hand_within_one_life_of_its_job() {
        let (mut hands, job, later) = (Hands::default(), id("a"), Zxid::new(2));
        assert!(hands.take(&job, LIFE, range(0, 10)).is_some());
        for known in [range(0, 10), range(3, 5), range(9, 12)] {
            assert!(hands.take(&job, LIFE, known).is_none(), "{known}");
        }
        assert!(hands.take(&job, LIFE, range(11, 20)).is_some());
        assert_eq!(hands.ranges(), 2);
        let grip = hands.take(&job, later, range(0, 10)).unwrap();
        assert_eq!(hands.begin_visit(&job, later), [range(0, 10)]);
        assert_eq!(hands.ranges(), 1);
        grip.let_go(range(0, 10));
        hands.tidy(&job);
        assert!(hands.are_empty() && hands.jobs().len() == 1);
        hands.end_visit(&job, later);
        assert_eq!(hands.jobs().len(), 0);
    }

    #[test]
    fn an_answer_that_was_overtaken_by_who_let_go_brings_nothing() {
        let (mut hands, job) = (Hands::default(), id("a"));
        let grip = hands.take(&job, LIFE, range(0, 10)).unwrap();
        grip.let_go(range(8, 10));
        assert_eq!(hands.begin_visit(&job, LIFE), [range(0, 8)]);
        grip.let_go(range(0, 8));
        assert!(hands.take(&job, LIFE, range(0, 10)).is_none());
        assert!(hands.take(&job, LIFE, range(8, 10)).is_some());
        hands.end_visit(&job, LIFE);
        assert!(hands.take(&job, LIFE, range(0, 8)).is_some());
    }

    #[test]
    fn doubts_last_until_the_job_is_not_wanted_any_more() {
        let mut hands = Hands::default();
        hands.doubt(&id("a"), LIFE);
        hands.doubt(&id("b"), Zxid::new(2));
        hands.forget_doubts(|job, _| job.as_str() == "b");
        assert_eq!(hands.doubtful().collect::<Vec<_>>(), [&(id("b"), Zxid::new(2))]);
    }
}
