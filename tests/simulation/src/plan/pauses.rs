//! Which queues an operator pauses, and for how long.

use distjob_core::QueueName;
use rand::{RngExt as _, rngs::StdRng};

use super::{FaultKind, Faults, STORM_MS, Submission};

/// An operator pauses a queue, and resumes it later.
#[derive(Clone, Debug)]
pub struct Pause {
    /// When, in milliseconds.
    pub at_ms: u64,
    /// For how long, in milliseconds.
    pub for_ms: u64,
    /// Which.
    pub queue: QueueName,
}

/// Draws the pauses of a run, of queues that have jobs in it.
pub(super) fn pauses(rng: &mut StdRng, kinds: &Faults, submissions: &[Submission]) -> Vec<Pause> {
    let count = [0, 0, 1, 4][rng.random_range(0..4)];
    let drawn: Vec<Pause> = (0..count)
        .map(|_| Pause {
            at_ms: rng.random_range(0..STORM_MS),
            for_ms: [20, 500, 5000][rng.random_range(0..3)],
            queue: submissions[rng.random_range(0..submissions.len())].queue.clone(),
        })
        .collect();
    if kinds.contains(FaultKind::Switch) {
        drawn
    } else {
        Vec::new()
    }
}
