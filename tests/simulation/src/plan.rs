//! What a run is about, drawn from its seed before it begins: who takes part, which jobs come, which faults strike.
//!
//! A plan is data. It says nothing about what follows from it, and the same seed with fewer kinds of faults has the
//! same jobs.

mod faults;
mod flows;
mod jobs;
mod pauses;

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

pub use self::{
    faults::{ENSEMBLE, Fault, FaultKind, Faults, Strike, Target, When},
    flows::{Flows, QUEUES},
    jobs::{Cancel, How, Submission},
    pauses::Pause,
};
use crate::{
    network::{Delays, Node},
    payload::Payload,
};

/// Faults strike and jobs come within this time.
pub const STORM_MS: u64 = 20_000;

/// Everything that a run is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where it comes from.
    pub seed: u64,
    /// How late messages are.
    pub delays: Delays,
    /// Where executors run.
    pub executors: Vec<Node>,
    /// Where watchers run.
    pub watchers: Vec<Node>,
    /// How the daemons are set.
    pub settings: Settings,
    /// Which jobs follow which.
    pub flows: Flows,
    /// The jobs, by time.
    pub submissions: Vec<Submission>,
    /// Which jobs are cancelled, by time.
    pub cancels: Vec<Cancel>,
    /// Which queues are paused.
    pub pauses: Vec<Pause>,
    /// The faults.
    pub strikes: Vec<Strike>,
}

/// What the daemons' configurations differ in from those that are shipped.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How many ranges an executor runs at once.
    pub slots: usize,
    /// How many jobs a watcher delivers at once.
    pub pipelines: usize,
    /// Most tasks in a claim.
    pub claim_max_tasks: u64,
    /// After how many milliseconds outcomes are recorded.
    pub commit_every_ms: u64,
    /// Most tasks in a slice that a watcher reads.
    pub slice_max_tasks: u64,
    /// The session timeout, in milliseconds.
    pub session_timeout_ms: u64,
    /// How long Redis may take for a reply, in milliseconds.
    pub response_timeout_ms: u64,
    /// How long an executor bears the lack of Redis, in milliseconds.
    pub store_patience_ms: u64,
    /// How long a submitter tries, in milliseconds.
    pub submit_timeout_ms: u64,
    /// How often a task that fails is run.
    pub attempts: u32,
    /// From how many tasks on, in hundredths, that are the first and all fail, the others are not run; 0: never.
    pub abort_after_percent: u32,
    /// How long it waits at most before its second attempt, in milliseconds.
    pub retry_ms: u64,
    /// How many tasks of a lease run at once.
    pub at_once: usize,
    /// How long the tasks of a lease should take, in milliseconds.
    pub claim_target_ms: u64,
    /// One request to Redis in so many is sent twice; 0: none is.
    pub repeat_one_in: u32,
}

/// The first node of each kind; so a node tells what it is.
const FIRST_WATCHER: u16 = 20;
const FIRST_SUBMITTER: u16 = 100;

/// Where an operator works.
pub const OPERATOR: Node = Node(90);

impl Plan {
    /// The plan of `seed`, with those kinds of faults.
    #[must_use]
    pub fn draw(seed: u64, kinds: &Faults) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let executors = nodes(1, rng.random_range(1..=3));
        let watchers = nodes(FIRST_WATCHER, rng.random_range(1..=2));
        let delays = delays(&mut rng);
        let settings = Settings::draw(&mut rng, &mut StdRng::seed_from_u64(seed.rotate_left(32)), kinds);
        // Streams of their own: fewer kinds of faults leave the jobs as they are.
        let mut jobs_rng = StdRng::from_rng(&mut rng);
        let mut faults_rng = StdRng::from_rng(&mut rng);
        let mut submissions = jobs::submissions(&mut jobs_rng, kinds);
        jobs::let_some_fail(&mut StdRng::seed_from_u64(!seed), &mut submissions);
        jobs::let_some_be_a_group(&mut StdRng::seed_from_u64(seed.rotate_left(8)), &mut submissions);
        let cancels = jobs::cancels(&mut jobs_rng, &submissions);
        let members: Vec<Node> = executors.iter().chain(&watchers).copied().collect();
        let flows = flows::flows(&mut StdRng::seed_from_u64(seed.rotate_left(48)));
        let mut pauses_rng = StdRng::seed_from_u64(seed.rotate_left(16));
        let pauses = pauses::pauses(&mut pauses_rng, kinds, &submissions);
        let strikes = faults::strikes(&mut faults_rng, kinds, &members);
        Self {
            seed,
            delays,
            executors,
            watchers,
            settings,
            flows,
            submissions,
            cancels,
            pauses,
            strikes,
        }
    }

    /// How often the task of this index in that submission runs where nothing goes wrong.
    #[must_use]
    pub fn runs(&self, submission: u32, index: u32) -> u32 {
        let mut submissions = self.submissions.iter();
        let tasks = submissions
            .find(|one| one.number == submission)
            .map(|one| &one.tasks);
        let kind = tasks.and_then(|tasks| tasks.get(index as usize)).copied();
        kind.map_or(0, |kind| {
            let payload = Payload {
                submission,
                index,
                kind,
            };
            payload.runs(self.settings.attempts)
        })
    }

    /// Where submission number `number` is made.
    #[must_use]
    pub fn submitter(number: u32) -> Node {
        Node(FIRST_SUBMITTER + u16::try_from(number).unwrap_or(u16::MAX - FIRST_SUBMITTER))
    }
}

fn nodes(first: u16, count: u16) -> Vec<Node> {
    (first..first + count).map(Node).collect()
}

fn delays(rng: &mut StdRng) -> Delays {
    let max_ms = match rng.random_range(0..4) {
        0 => 2,
        1 | 2 => 5,
        _ => 40,
    };
    Delays {
        min_ms: 1,
        max_ms,
        resent_one_in: if rng.random_ratio(1, 4) { 50 } else { 0 },
    }
}

impl Settings {
    /// Draws them; those about the running of tasks from a stream of their own.
    fn draw(rng: &mut StdRng, retries: &mut StdRng, kinds: &Faults) -> Self {
        let repeat_one_in = [0, 0, 20, 4][rng.random_range(0..4)];
        Self {
            repeat_one_in: if kinds.contains(FaultKind::Repeat) {
                repeat_one_in
            } else {
                0
            },
            slots: rng.random_range(1..=3),
            pipelines: rng.random_range(1..=3),
            claim_max_tasks: [1, 3, 10, 1000][rng.random_range(0..4)],
            commit_every_ms: [1, 50, 250][rng.random_range(0..3)],
            slice_max_tasks: [1, 3, 1000][rng.random_range(0..3)],
            session_timeout_ms: [2000, 4000, 6000][rng.random_range(0..3)],
            response_timeout_ms: [500, 1000, 3000][rng.random_range(0..3)],
            store_patience_ms: [2000, 5000, 60_000][rng.random_range(0..3)],
            submit_timeout_ms: [5000, 20_000][rng.random_range(0..2)],
            attempts: retries.random_range(1..=4),
            abort_after_percent: [0, 0, 0, 20][retries.random_range(0..4)],
            retry_ms: [10, 200, 3000][retries.random_range(0..3)],
            at_once: [1, 1, 2, 4][retries.random_range(0..4)],
            claim_target_ms: [20, 250][retries.random_range(0..2)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_kinds_of_faults_leave_the_jobs_as_they_are() {
        for seed in 0..50 {
            let all = Plan::draw(seed, &Faults::all());
            let some = Plan::draw(seed, &"cut,expiry".parse().unwrap());
            let ids = |plan: &Plan| plan.submissions.iter().map(|one| one.at_ms).collect::<Vec<_>>();
            assert_eq!(ids(&all), ids(&some));
            assert!(some.strikes.len() <= all.strikes.len());
        }
    }
}
