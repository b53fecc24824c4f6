//! The queues whose tasks are large.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use distjob_core::QueueName;

/// The queues of which the newest job of few tasks was large all the same. Nothing in a job's znode tells its size, but jobs
/// of one queue are alike.
#[derive(Debug, Default)]
pub(crate) struct Bulky(Mutex<BTreeSet<QueueName>>);

impl Bulky {
    /// Whether jobs of this queue are to be taken for large ones.
    pub(crate) fn contains(&self, queue: &QueueName) -> bool {
        self.queues().contains(queue)
    }

    /// Takes notice of a job of few tasks.
    pub(crate) fn learn(&self, queue: &QueueName, is_large: bool) {
        let mut queues = self.queues();
        if !is_large {
            queues.remove(queue);
        } else if !queues.contains(queue) {
            queues.insert(queue.clone());
        }
    }

    fn queues(&self) -> MutexGuard<'_, BTreeSet<QueueName>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_what_its_newest_job_was() {
        let (bulky, scans, words) = (
            Bulky::default(),
            QueueName::new("scans").unwrap(),
            QueueName::new("words").unwrap(),
        );
        bulky.learn(&scans, true);
        bulky.learn(&words, false);
        bulky.learn(&scans, true);
        assert!(bulky.contains(&scans) && !bulky.contains(&words));
        bulky.learn(&scans, false);
        assert!(!bulky.contains(&scans));
    }
}
