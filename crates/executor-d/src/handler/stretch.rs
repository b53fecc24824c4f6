//! The tasks between two commits.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use distjob_core::{JobId, Outcome, Packed, QueueName, TaskRange, Zxid};
use tokio::time::Instant;

use super::Verdict;

/// The next tasks of a lease, up to the next commit, and the outcomes of those that were run.
///
/// ```
/// # use executor_d::handler::{Ran, Stretch};
/// # fn run(mut stretch: Stretch) -> Ran {
/// while let Some(task) = stretch.task() {
///     let verdict = Ok(task.payload.to_ascii_uppercase().into());
///     stretch.record(&verdict);
/// }
/// stretch.end()
/// # }
/// ```
#[derive(Debug)]
pub struct Stretch {
    /// Whose tasks they are.
    pub id: JobId,
    /// In which life of the job.
    pub life: Zxid,
    /// The kind of work.
    pub queue: QueueName,
    /// All payloads of the lease.
    pub(crate) tasks: Arc<[Vec<u8>]>,
    /// The index of the first of them.
    pub(crate) first: u64,
    /// What is left of the lease.
    pub(crate) range: TaskRange,
    pub(crate) limits: StretchLimits,
    /// Set when no further task may begin.
    pub(crate) halt: Arc<AtomicBool>,
    pub(crate) begun: Instant,
    pub(crate) outcomes: Packed,
}

/// When outcomes are due to be recorded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StretchLimits {
    /// When they have so many bytes,
    pub(crate) bytes: u64,
    /// or after this time.
    pub(crate) time: Duration,
}

/// A task to be run.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    /// Its index in the job.
    pub index: u64,
    /// Its payload.
    pub payload: &'a [u8],
}

/// What came of a stretch.
#[derive(Debug)]
pub struct Ran {
    /// The outcomes of its first tasks.
    pub(crate) outcomes: Packed,
    /// How long they took.
    pub(crate) elapsed: Duration,
}

impl Stretch {
    /// Lets the time count from now on: a handler that was kept waiting for a thread has not begun before.
    pub fn begin(&mut self) {
        self.begun = Instant::now();
    }

    /// The task to be run next: the one after those whose verdicts are recorded. `None` when the stretch is over, be it
    /// because a commit is due, the lease is done, or no further task may begin.
    #[must_use]
    pub fn task(&self) -> Option<Task<'_>> {
        if self.halt.load(Ordering::Relaxed) || self.is_due() {
            return None;
        }
        let index = self.range.lo() + self.outcomes.count();
        let position = usize::try_from(index - self.first).ok()?;
        let payload = self.tasks.get(position).filter(|_| index < self.range.hi())?;
        Some(Task { index, payload })
    }

    fn is_due(&self) -> bool {
        !self.outcomes.is_empty()
            && (self.outcomes.bytes().len() as u64 >= self.limits.bytes
                || self.begun.elapsed() >= self.limits.time)
    }

    /// Records the verdict on [`task`](Self::task).
    pub fn record(&mut self, verdict: &Verdict) {
        self.outcomes.push(match verdict {
            Ok(value) => Outcome::Ok(value),
            Err(error) => Outcome::Err(error.as_bytes()),
        });
    }

    /// The end of it.
    #[must_use]
    pub fn end(self) -> Ran {
        Ran {
            outcomes: self.outcomes,
            elapsed: self.begun.elapsed(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;

    /// What is left of a lease that was granted with the tasks 10 to 19.
    fn stretch(range: Range<u64>) -> Stretch {
        Stretch {
            id: JobId::new("job").unwrap(),
            life: Zxid::new(1),
            queue: QueueName::default_queue(),
            tasks: (10..20_u8).map(|index| vec![index]).collect(),
            first: 10,
            range: TaskRange::new(range.start, range.end).unwrap(),
            limits: StretchLimits {
                bytes: 1 << 20,
                time: Duration::from_secs(1),
            },
            halt: Arc::default(),
            begun: Instant::now(),
            outcomes: Packed::default(),
        }
    }

    /// Runs until the stretch is over; the indexes.
    fn run(stretch: &mut Stretch, mut after_each: impl FnMut(&Stretch)) -> Vec<u64> {
        let mut indexes = Vec::new();
        while let Some(task) = stretch.task() {
            assert_eq!(task.payload, [u8::try_from(task.index).unwrap()]);
            indexes.push(task.index);
            stretch.record(&Ok(vec![0; 100].into()));
            after_each(stretch);
        }
        indexes
    }

    #[test]
    fn a_stretch_begins_where_the_lease_stands_and_ends_with_it() {
        assert_eq!(run(&mut stretch(13..17), |_| ()), [13, 14, 15, 16]);
        // The store never grants more than it has payloads for; if it did, nothing would be made up.
        assert_eq!(run(&mut stretch(18..30), |_| ()), [18, 19]);
    }

    #[test]
    fn it_ends_with_the_task_that_makes_a_commit_large_enough() {
        let mut stretch = stretch(10..20);
        stretch.limits.bytes = 250;
        assert_eq!(run(&mut stretch, |_| ()), [10, 11, 12]);
        assert_eq!(stretch.end().outcomes.count(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_with_the_task_in_which_a_commit_becomes_due_but_runs_one_however_late_it_is() {
        let mut late = stretch(10..20);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(run(&mut late, |_| ()), [10]);
        late.begin();
        tokio::time::advance(Duration::from_millis(999)).await;
        assert!(late.task().is_some());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(late.task().is_none());
        assert_eq!(late.end().elapsed, Duration::from_secs(1));
    }

    #[test]
    fn no_task_begins_after_a_halt() {
        let mut stretch = stretch(10..20);
        let halt = Arc::clone(&stretch.halt);
        let indexes = run(&mut stretch, |stretch| {
            halt.store(stretch.outcomes.count() == 2, Ordering::Relaxed);
        });
        assert_eq!(indexes, [10, 11]);
    }
}
