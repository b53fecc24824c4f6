//! Which jobs come, how, and which of them are cancelled.

use distjob_core::{GroupName, JobId, QueueName};
use distjob_runtime::zk::Seat;
use rand::{RngExt as _, rngs::StdRng};
use submitter::staging::Place;

use super::{FaultKind, Faults, STORM_MS};
use crate::payload::Kind;

/// How a job is submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// As distjob's own submitter does it.
    Staged,
    /// As any program may: push to the list of that name, create the znode.
    Plain,
}

/// One submission.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Which one it is; payloads tell it.
    pub number: u32,
    /// When it begins, in milliseconds.
    pub at_ms: u64,
    /// Under which id. Several submissions may have the same.
    pub id: JobId,
    /// In which queue.
    pub queue: QueueName,
    /// In which way.
    pub how: How,
    /// What its tasks do.
    pub tasks: Vec<Kind>,
    /// Its tasks have so many milliseconds from when its submitter begins; only a staged job has a deadline.
    pub deadline_ms: Option<u64>,
    /// After so many milliseconds its submitter dies, if it is still at work.
    pub dies_after_ms: Option<u64>,
    /// Its place in a group; only a staged job has one.
    pub place: Option<Place>,
}

/// An operator cancels a job.
#[derive(Clone, Debug)]
pub struct Cancel {
    /// When, in milliseconds.
    pub at_ms: u64,
    /// Which.
    pub id: JobId,
}

/// Draws the submissions of a run, by time.
pub(super) fn submissions(rng: &mut StdRng, kinds: &Faults) -> Vec<Submission> {
    let count = rng.random_range(2..=6);
    let mut times: Vec<u64> = (0..count)
        .map(|_| rng.random_range(0..STORM_MS * 3 / 4))
        .collect();
    times.sort_unstable();
    let mut drawn: Vec<Submission> = Vec::new();
    for (number, at_ms) in (0..).zip(times) {
        let again = rng
            .random_ratio(1, 3)
            .then(|| drawn.last().map(|last| last.id.clone()))
            .flatten();
        let how = match rng.random_range(0..4) {
            0 => How::Plain,
            _ => How::Staged,
        };
        let id = again.unwrap_or_else(|| name(number));
        let queue = ["default", "primes"][rng.random_range(0..2)];
        let mut tasks = tasks(rng);
        if how == How::Plain {
            // The ledger tells two plain submissions of one id apart by nothing but their counts.
            while drawn
                .iter()
                .any(|other| other.id == id && other.tasks.len() == tasks.len())
            {
                tasks.push(Kind::Works(1));
            }
        }
        let dies_after_ms = rng.random_ratio(1, 6).then(|| rng.random_range(1..200));
        drawn.push(Submission {
            number,
            at_ms,
            id,
            queue: QueueName::new(queue).unwrap_or_else(|_| QueueName::default_queue()),
            how,
            tasks: tasks.into_iter().map(|kind| spare(kind, kinds)).collect(),
            deadline_ms: None,
            dies_after_ms: dies_after_ms.filter(|_| kinds.contains(FaultKind::Submitter)),
            place: None,
        });
    }
    drawn
}

fn name(number: u32) -> JobId {
    JobId::new(format!("job-{number}"))
        .unwrap_or_else(|_| unreachable!("letters, a dash and digits make an id"))
}

fn tasks(rng: &mut StdRng) -> Vec<Kind> {
    let count = match rng.random_range(0..8) {
        0 => 0,
        1 => 1,
        2..=5 => rng.random_range(2..12),
        _ => rng.random_range(12..60),
    };
    let slow_ms = [5, 30, 400][rng.random_range(0..3)];
    let kills = rng.random_ratio(1, 12);
    (0..count)
        .map(|_| match rng.random_range(0..20) {
            0 => Kind::Fails,
            1 if kills => Kind::Kills,
            _ => Kind::Works(rng.random_range(0..=slow_ms)),
        })
        .collect()
}

/// Lets tasks fail that would only work: none, few or most of a submission. Some submissions have a deadline.
pub(super) fn let_some_fail(rng: &mut StdRng, submissions: &mut [Submission]) {
    for submission in submissions {
        let deadline_ms = rng.random_ratio(1, 8).then(|| rng.random_range(100..5000));
        submission.deadline_ms = deadline_ms.filter(|_| submission.how == How::Staged);
        let one_in = [None, None, Some(10), Some(2)][rng.random_range(0..4)];
        let Some(one_in) = one_in else { continue };
        for kind in &mut submission.tasks {
            if matches!(kind, Kind::Works(_)) && rng.random_ratio(1, one_in) {
                *kind = match rng.random_range(0..4) {
                    0 => Kind::Suffers(rng.random_range(1..=2)),
                    _ => Kind::Flaky(rng.random_range(1..=4)),
                };
            }
        }
    }
}

/// Lets the jobs of one queue be a group, in some runs: those that have an id of their own. The last of them closes it, be it
/// that others come later.
pub(super) fn let_some_be_a_group(rng: &mut StdRng, submissions: &mut [Submission]) {
    let Some(queue) = submissions.first().map(|first| first.queue.clone()) else {
        return;
    };
    let ids: Vec<JobId> = submissions.iter().map(|one| one.id.clone()).collect();
    let is_alone = |id: &JobId| ids.iter().filter(|other| *other == id).count() == 1;
    let members = submissions
        .iter_mut()
        .filter(|one| one.how == How::Staged && one.queue == queue && is_alone(&one.id));
    let mut members: Vec<_> = members.collect();
    let last = members.len().saturating_sub(1);
    if last == 0 || rng.random_ratio(1, 2) {
        return;
    }
    for (at, member) in members.iter_mut().enumerate() {
        member.place = Some(Place {
            group: GroupName::new("group").unwrap_or_else(|_| unreachable!("letters make a name")),
            seat: if at == last { Seat::Last } else { Seat::Another },
        });
    }
}

/// No task kills when nothing else does.
fn spare(kind: Kind, kinds: &Faults) -> Kind {
    match kind {
        Kind::Kills if !kinds.contains(FaultKind::Poison) => Kind::Fails,
        kind => kind,
    }
}

/// Draws what is cancelled.
pub(super) fn cancels(rng: &mut StdRng, submissions: &[Submission]) -> Vec<Cancel> {
    let mut cancels: Vec<Cancel> = submissions
        .iter()
        .filter_map(|submission| {
            let at_ms = submission.at_ms + rng.random_range(0..3000);
            rng.random_ratio(1, 10).then(|| Cancel {
                at_ms,
                id: submission.id.clone(),
            })
        })
        .collect();
    cancels.sort_by_key(|cancel| cancel.at_ms);
    cancels
}
