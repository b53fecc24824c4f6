//! What a watcher does with a job whose lock it holds.
//!
//! ```text
//!             ┌─ complete ──► collect ──► uploaded ──┐
//! prcd, zpd ──┼─ unfinished ► wait a while ► subm     ├──► drop ──► deleted
//!             └─ lost a part ► is the store ours? ─┐  │
//! uploaded ───────────────────────────────────────┼──┤
//! cncl ─────── open, so that nothing else does ────┼──┘
//!                                            lost ◄┘ yes; no: stand still
//! ```
//!
//! Nothing is taken from the executors' word: `prcd` means "look at this". What the store says decides, and before
//! a job is declared lost, whether the store is the right one.

mod rows;

use std::{fmt, time::Duration};

use crate::{JobData, JobState, Source, store::Status};

pub use rows::{Progress, Row, each_row};

/// The delay before a job goes back for the first time.
const RETURN_DELAY_MIN: Duration = Duration::from_millis(50);

/// The longest such delay.
const RETURN_DELAY_MAX: Duration = Duration::from_secs(30);

/// What to do first for a locked job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FirstStep {
    /// Deliver nothing at all: the job has no tasks, and the store has not heard of it.
    DeliverEmpty,
    /// Ask the store how it stands.
    Examine,
    /// Drop its keys, which leaves a tombstone, then delete it: it was delivered, or has nothing to deliver.
    CleanUp,
    /// Open it, so that nobody else can later, drop its keys, delete it.
    Cancel,
    /// Delete it: the store never heard of it, and nobody asks the store for it.
    Delete,
    /// Nothing: it is not for watchers.
    Leave,
}

impl FirstStep {
    /// The first step for a job that looks like `job`.
    #[must_use]
    pub const fn of(job: &JobData) -> Self {
        let is_plain = matches!(job.source, Source::Plain);
        match (job.state, job.count) {
            (JobState::Processed | JobState::Zipped, 0) => Self::DeliverEmpty,
            (JobState::Processed | JobState::Zipped, _) => Self::Examine,
            (JobState::Uploaded | JobState::Cancelled, 0) if is_plain => Self::Delete,
            // A tombstone tells a submitter whose create was never clearly answered that the job is done.
            (JobState::Uploaded, _) | (JobState::Cancelled, 0) => Self::CleanUp,
            (JobState::Cancelled, _) => Self::Cancel,
            (JobState::Submitted | JobState::Lost, _) => Self::Leave,
        }
    }
}

/// What the store cannot have any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Loss {
    /// The job's pieces do not add up.
    Broken {
        /// How many tasks are committed.
        committed: u64,
    },
    /// A tombstone stands where the job should be.
    Dropped,
    /// A later life of the id stands there.
    Replaced,
    /// The job was never opened, and its list has this many tasks.
    Missing(u64),
    /// Payloads are missing.
    Short,
    /// There is no outcome for the task at this index.
    Hole(u64),
    /// The outcomes from this index on cannot be read.
    Corrupt(u64),
}

impl fmt::Display for Loss {
    /// As the job's `why` has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken { committed } => {
                write!(f, "redis lost a part of the job, {committed} outcomes are there")
            }
            Self::Dropped => f.write_str("redis says that the job was dropped"),
            Self::Replaced => f.write_str("redis knows a later job of this id"),
            Self::Missing(0) => f.write_str("redis has no tasks of the job"),
            Self::Missing(length) => write!(f, "redis has a list of {length} tasks, which is another number"),
            Self::Short => f.write_str("redis lost payloads of the job"),
            Self::Hole(index) => write!(f, "redis has no outcome of the task at index {index}"),
            Self::Corrupt(index) => write!(f, "the outcomes from index {index} on cannot be read"),
        }
    }
}

/// What the store's answer means for a job that was said to be processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Every task has its outcome.
    Collect,
    /// It is not complete after all, and can be completed: executors go on with it.
    Return,
    /// The store cannot have it any more, if it is the right store.
    Suspect(Loss),
}

impl Verdict {
    /// Judges a job of `count` tasks, at least one.
    #[must_use]
    pub const fn of(count: u64, status: &Status) -> Self {
        match *status {
            Status::Open {
                committed,
                whole: true,
                ..
            } if committed == count => Self::Collect,
            Status::Open {
                committed,
                whole: true,
                ..
            } if committed < count => Self::Return,
            Status::Open { committed, .. } => Self::Suspect(Loss::Broken { committed }),
            Status::Gone => Self::Suspect(Loss::Dropped),
            Status::Stale => Self::Suspect(Loss::Replaced),
            Status::None(length) if length == count => Self::Return,
            Status::None(length) => Self::Suspect(Loss::Missing(length)),
        }
    }

    /// Judges it again after collecting it met `loss`: the store's newer answer comes first, and when that still
    /// says that the job is complete, the loss stands.
    #[must_use]
    pub const fn after(loss: Loss, count: u64, status: &Status) -> Self {
        match Self::of(count, status) {
            Self::Collect => Self::Suspect(loss),
            other => other,
        }
    }
}

/// How long a job waits in `prcd` before it goes back to the executors. It grows with the number of writes that its
/// znode has seen, so that a job about which executors and store disagree does not go round at full speed.
#[must_use]
pub fn return_delay(version: i32) -> Duration {
    let doublings = version.clamp(0, 16).unsigned_abs();
    (RETURN_DELAY_MIN * (1 << doublings)).min(RETURN_DELAY_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(text: &str) -> JobData {
        JobData::parse(text.as_bytes()).unwrap()
    }

    const fn open(committed: u64, whole: bool) -> Status {
        Status::Open {
            committed,
            failed: 0,
            cursor: committed,
            whole,
        }
    }

    #[test]
    fn the_first_step_is_that_of_the_state_and_a_job_without_tasks_is_delivered_without_the_store() {
        for (text, step) in [
            ("subm=5", FirstStep::Leave),
            ("lost=5", FirstStep::Leave),
            ("prcd=5", FirstStep::Examine),
            ("zpd=5", FirstStep::Examine),
            ("uploaded=5", FirstStep::CleanUp),
            ("cncl=5", FirstStep::Cancel),
            ("subm=0", FirstStep::Leave),
            ("prcd=0", FirstStep::DeliverEmpty),
            ("zpd=0", FirstStep::DeliverEmpty),
            ("uploaded=0", FirstStep::Delete),
            ("cncl=0", FirstStep::Delete),
            ("uploaded=0;from=t", FirstStep::CleanUp),
            ("cncl=0;from=t", FirstStep::CleanUp),
        ] {
            assert_eq!(FirstStep::of(&job(text)), step, "{text}");
        }
    }

    #[test]
    fn a_watcher_acts_exactly_on_the_states_that_are_for_watchers() {
        for state in JobState::ALL {
            let acts = FirstStep::of(&job(&format!("{state}=1"))) != FirstStep::Leave;
            assert_eq!(acts, state.is_for_watchers(), "{state}");
        }
    }

    #[test]
    fn the_stores_answer_decides_and_only_a_whole_and_full_job_is_collected() {
        for (status, verdict) in [
            (open(5, true), Verdict::Collect),
            (open(4, true), Verdict::Return),
            (open(0, true), Verdict::Return),
            (open(5, false), Verdict::Suspect(Loss::Broken { committed: 5 })),
            (open(4, false), Verdict::Suspect(Loss::Broken { committed: 4 })),
            (open(6, true), Verdict::Suspect(Loss::Broken { committed: 6 })),
            (Status::Gone, Verdict::Suspect(Loss::Dropped)),
            (Status::Stale, Verdict::Suspect(Loss::Replaced)),
            (Status::None(5), Verdict::Return),
            (Status::None(0), Verdict::Suspect(Loss::Missing(0))),
            (Status::None(6), Verdict::Suspect(Loss::Missing(6))),
        ] {
            assert_eq!(Verdict::of(5, &status), verdict, "{status:?}");
        }
    }

    #[test]
    fn a_loss_stands_only_while_the_store_says_that_the_job_is_complete() {
        let hole = Loss::Hole(3);
        assert_eq!(Verdict::after(hole, 5, &open(5, true)), Verdict::Suspect(hole));
        assert_eq!(Verdict::after(hole, 5, &open(3, true)), Verdict::Return);
        assert_eq!(
            Verdict::after(hole, 5, &Status::Gone),
            Verdict::Suspect(Loss::Dropped)
        );
    }

    #[test]
    fn a_job_that_goes_round_waits_longer_each_time() {
        assert_eq!(return_delay(1), Duration::from_millis(100));
        assert_eq!(return_delay(3), Duration::from_millis(400));
        assert_eq!(return_delay(9), Duration::from_millis(25_600));
        for version in [10, 40, i32::MAX] {
            assert_eq!(return_delay(version), RETURN_DELAY_MAX);
        }
        assert_eq!(return_delay(-1), RETURN_DELAY_MIN);
    }

    #[test]
    fn every_reason_survives_the_znodes_format() {
        for loss in [
            Loss::Broken { committed: 3 },
            Loss::Dropped,
            Loss::Replaced,
            Loss::Missing(0),
            Loss::Missing(2),
            Loss::Short,
            Loss::Hole(u64::MAX),
            Loss::Corrupt(7),
        ] {
            let why = loss.to_string();
            let lost = job("prcd=5").lost(&why);
            assert_eq!(lost.why.as_ref(), Some(&why));
            assert_eq!(JobData::parse(lost.to_string().as_bytes()), Ok(lost));
        }
    }
}
