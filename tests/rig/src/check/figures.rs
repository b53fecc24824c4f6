//! What is counted while a run is judged.

use std::collections::BTreeMap;

use super::{Case, Job};
use crate::history::Answer;

/// How many slow jobs are named.
const SLOWEST: usize = 10;

/// The figures of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Jobs that were submitted.
    pub jobs: u64,
    /// Submissions, by what they were told.
    pub answers: BTreeMap<&'static str, u64>,
    /// Jobs of which no submission was told anything certain, by what became of them.
    pub unclear: BTreeMap<&'static str, u64>,
    /// Jobs that an operator was asked to cancel, by what became of them.
    pub cancelled: BTreeMap<&'static str, u64>,
    /// Files that were delivered.
    pub delivered_jobs: u64,
    /// Tasks in them.
    pub delivered_tasks: u64,
    /// Executions of tasks by handlers.
    pub executions: u64,
    /// Executions beyond the first of a task, but for those that end their executor.
    pub duplicates: u64,
    /// Executions of tasks that end their executor.
    pub deadly_executions: u64,
    /// Tasks that were given up.
    pub given_up: u64,
    /// Those of them that would have harmed nobody.
    pub given_up_harmless: u64,
    /// Jobs that are `lost`.
    pub lost: Vec<String>,
    /// What Redis lost, and when, in milliseconds since the run began.
    pub losses: Vec<(u64, String)>,
    /// The jobs that took longest from their first submission to their file, longest first.
    pub slowest: Vec<Slow>,
}

/// A job that took long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slow {
    /// The job.
    pub id: String,
    /// Its tasks.
    pub tasks: u64,
    /// When it was first submitted, in milliseconds since the run began.
    pub from_ms: u64,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

impl Figures {
    pub(super) fn of(case: &Case<'_>) -> Self {
        let mut figures = Self {
            jobs: case.jobs.len() as u64,
            executions: case.executions.values().sum(),
            losses: case
                .losses
                .iter()
                .map(|(at_ms, why)| (*at_ms, (*why).to_owned()))
                .collect(),
            ..Self::default()
        };
        for (id, job) in &case.jobs {
            figures.count(case, id, job);
        }
        figures
            .slowest
            .sort_by_key(|slow| std::cmp::Reverse(slow.took_ms));
        figures.slowest.truncate(SLOWEST);
        figures
    }

    fn count(&mut self, case: &Case<'_>, id: &str, job: &Job<'_>) {
        for submission in &job.submissions {
            *self.answers.entry(told(submission.answer)).or_default() += 1;
        }
        if job.is_unclear() {
            *self.unclear.entry(fate(job)).or_default() += 1;
        }
        if job.is_cancelled {
            *self.cancelled.entry(fate(job)).or_default() += 1;
        }
        if job.is_lost || (job.seen.is_none() && job.was("lost")) {
            self.lost.push(id.to_owned());
        }
        if let Some(seen) = job.seen {
            self.delivered_jobs += 1;
            self.delivered_tasks += seen.tasks;
            self.given_up += seen.given_up;
            self.given_up_harmless += seen.given_up_harmless;
            self.slowest.push(Slow {
                id: id.to_owned(),
                tasks: seen.tasks,
                from_ms: job.began_ms(),
                took_ms: seen.at_ms.saturating_sub(job.began_ms()),
            });
        }
        self.count_executions(case, job);
    }

    fn count_executions(&mut self, case: &Case<'_>, job: &Job<'_>) {
        let Some(expected) = &job.expected else {
            return;
        };
        for index in 0..expected.count() {
            let times = case
                .executions
                .get(&expected.payload(index))
                .copied()
                .unwrap_or(0);
            if expected.is_deadly(index) {
                self.deadly_executions += times;
            } else {
                self.duplicates += times.saturating_sub(1);
            }
        }
    }
}

/// What a submission was told, in a word.
fn told(answer: Option<&Answer>) -> &'static str {
    match answer {
        Some(Answer::Acknowledged) => "acknowledged",
        Some(Answer::Before) => "submitted before",
        Some(Answer::Refused { .. }) => "refused",
        Some(Answer::Withdrawn { .. }) => "taken back",
        Some(Answer::Unclear { .. }) | None => "unclear",
    }
}

/// What became of a job, in a word.
fn fate(job: &Job<'_>) -> &'static str {
    if job.seen.is_some() {
        "delivered"
    } else if job.is_lost || job.was("lost") {
        "lost"
    } else if job.was("cncl") {
        "cancelled"
    } else if job.lives.is_empty() {
        "never came to be"
    } else {
        "created, not delivered"
    }
}
