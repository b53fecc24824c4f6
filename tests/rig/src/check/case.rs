//! What is known of a run, job by job.

use std::collections::{BTreeMap, HashMap};

use harness::audit::{Ledger, Life};

use super::Delivery;
use crate::{
    expect::Expected,
    history::{Answer, Event, Exit, History, How, Parameters, Role},
};

/// What a run is judged by, besides the files that it delivered.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// What was written down.
    pub history: &'a History,
    /// What was done to the ledger, from the servers' own logs.
    pub ledger: &'a Ledger,
    /// How often each payload was executed.
    pub executions: &'a HashMap<String, u64>,
}

/// What is known of a run.
#[derive(Debug)]
pub struct Case<'a> {
    /// What was asked; `None` when the run never began.
    pub parameters: Option<&'a Parameters>,
    /// What was written down.
    pub history: &'a History,
    /// What was done to the ledger.
    pub ledger: &'a Ledger,
    /// How often each payload was executed.
    pub executions: &'a HashMap<String, u64>,
    /// Every job that was submitted, by id.
    pub jobs: BTreeMap<&'a str, Job<'a>>,
    /// Every job that watchers created, by id.
    pub follow_ups: BTreeMap<&'a str, FollowUp<'a>>,
    /// When Redis was known to have lost writes, each with how.
    pub losses: Vec<(u64, &'a str)>,
}

/// What is known of a job.
#[derive(Debug)]
pub struct Job<'a> {
    /// Where it was submitted to.
    pub queue: &'a str,
    /// What it must come to; `None` when its id is none of a run.
    pub expected: Option<Expected>,
    /// All of its submissions, oldest first.
    pub submissions: Vec<Submission<'a>>,
    /// Whether an operator was asked to cancel it.
    pub is_cancelled: bool,
    /// Whether it was `lost` at the end.
    pub is_lost: bool,
    /// What its ledger tells, one for each time that its znode was created.
    pub lives: &'a [Life],
    /// What was in its file, if one was delivered.
    pub seen: Option<Seen>,
}

/// What is known of a job that follows others.
#[derive(Debug)]
pub struct FollowUp<'a> {
    /// The job that it follows; of a group its last one.
    pub parent: &'a str,
    /// The group that it joins, if it does.
    pub joins: Option<&'a str>,
    /// Its queue.
    pub queue: &'a str,
    /// When the first job of all was submitted, in milliseconds since the run began.
    pub began_ms: u64,
    /// Whether it was `lost` at the end.
    pub is_lost: bool,
    /// What its ledger tells.
    pub lives: &'a [Life],
}

impl FollowUp<'_> {
    /// How many executors went away while it lived.
    #[must_use]
    pub fn departures(&self) -> u64 {
        self.lives.iter().map(|life| life.departures).max().unwrap_or(0)
    }
}

/// One submission of a job.
#[derive(Debug)]
pub struct Submission<'a> {
    /// Its number.
    pub number: u64,
    /// When it began, in milliseconds since the run did.
    pub at_ms: u64,
    /// In which way.
    pub how: How,
    /// What it was told, if anything.
    pub answer: Option<&'a Answer>,
}

/// What a delivered file was found to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// When it was written, in milliseconds since the run began.
    pub at_ms: u64,
    /// How many lines it has.
    pub tasks: u64,
    /// How many tasks were given up because executors died.
    pub given_up: u64,
    /// How many of those did nothing to deserve it.
    pub given_up_harmless: u64,
}

impl<'a> Case<'a> {
    pub(super) fn new(evidence: &Evidence<'a>) -> Self {
        let mut case = Self {
            parameters: evidence.history.parameters(),
            history: evidence.history,
            ledger: evidence.ledger,
            executions: evidence.executions,
            jobs: BTreeMap::new(),
            follow_ups: BTreeMap::new(),
            losses: Vec::new(),
        };
        for (at_ms, event) in evidence.history.events() {
            case.take(at_ms, event);
        }
        case.find_follow_ups();
        case
    }

    fn find_follow_ups(&mut self) {
        let of = |id: &str| self.ledger.jobs.get(id)?.first()?.said("parent");
        for (id, lives) in &self.ledger.jobs {
            let Some(life) = lives.first() else { continue };
            let Some(parent) = life.said("parent") else {
                continue;
            };
            let mut root = parent;
            while let Some(above) = of(root) {
                root = above;
            }
            let job = FollowUp {
                parent,
                joins: life.said("joins"),
                queue: life.said("queue").unwrap_or("default"),
                began_ms: self.jobs.get(root).map_or(0, Job::began_ms),
                is_lost: false,
                lives,
            };
            self.follow_ups.insert(id, job);
        }
        for (_, event) in self.history.events() {
            if let Event::Lost { id } = event
                && let Some(job) = self.follow_ups.get_mut(id.as_str())
            {
                job.is_lost = true;
            }
        }
    }

    fn take(&mut self, at_ms: u64, event: &'a Event) {
        match event {
            Event::Submitting {
                submission,
                id,
                queue,
                count,
                how,
                ..
            } => {
                let seed = self.parameters.map_or(0, |parameters| parameters.seed);
                let lives = self.ledger.jobs.get(id).map_or(&[][..], Vec::as_slice);
                let job = self.jobs.entry(id).or_insert_with(|| Job {
                    queue,
                    expected: Expected::new(seed, id, *count),
                    submissions: Vec::new(),
                    is_cancelled: false,
                    is_lost: false,
                    lives,
                    seen: None,
                });
                job.submissions.push(Submission {
                    number: *submission,
                    at_ms,
                    how: *how,
                    answer: None,
                });
            }
            Event::Answered {
                submission,
                id,
                answer,
            } => {
                let submissions = self.jobs.get_mut(id.as_str()).map(|job| &mut job.submissions);
                let answered = submissions
                    .into_iter()
                    .flatten()
                    .find(|candidate| candidate.number == *submission);
                if let Some(answered) = answered {
                    answered.answer = Some(answer);
                }
            }
            Event::Cancelling { id } => self.mark(id, |job| job.is_cancelled = true),
            Event::Lost { id } => self.mark(id, |job| job.is_lost = true),
            Event::StoreLost { why } => self.losses.push((at_ms, why)),
            _ => {}
        }
    }

    fn mark(&mut self, id: &str, mark: impl FnOnce(&mut Job<'a>)) {
        if let Some(job) = self.jobs.get_mut(id) {
            mark(job);
        }
    }

    /// Takes down what was found in a file.
    pub(super) fn saw(&mut self, delivery: &Delivery, seen: Seen) {
        let at_ms = delivery.unix_ms.saturating_sub(self.history.began_unix_ms());
        self.mark(&delivery.id, |job| job.seen = Some(Seen { at_ms, ..seen }));
    }

    /// Whether nothing happened that could make a task run twice.
    #[must_use]
    pub fn is_without_faults(&self) -> bool {
        let roles: HashMap<&str, Role> = self
            .history
            .events()
            .filter_map(|(_, event)| match event {
                Event::ProcessStarted { name, role, .. } => Some((name.as_str(), *role)),
                _ => None,
            })
            .collect();
        let is_fault = |event: &Event| match event {
            Event::FaultBegan { .. } | Event::StoreLost { .. } => true,
            // Or it ended by itself, through a task.
            Event::ProcessExited {
                exit: Exit::Signal(_),
                ..
            } => true,
            Event::ProcessKilled { name } => roles.get(name.as_str()) != Some(&Role::Submitter),
            _ => false,
        };
        !self.history.events().any(|(_, event)| is_fault(event))
    }

    /// Whether Redis lost writes after the job was first submitted.
    #[must_use]
    pub fn may_have_lost(&self, job: &Job<'_>) -> bool {
        self.may_have_lost_since(job.began_ms())
    }

    /// Whether Redis lost writes after that, in milliseconds since the run began.
    #[must_use]
    pub fn may_have_lost_since(&self, began_ms: u64) -> bool {
        self.losses.iter().any(|(at_ms, _)| *at_ms >= began_ms)
    }

    /// Whether a job, submitted or created by a watcher, was `lost` at the end.
    #[must_use]
    pub fn is_lost(&self, id: &str) -> bool {
        self.jobs.get(id).is_some_and(|job| job.is_lost)
            || self.follow_ups.get(id).is_some_and(|job| job.is_lost)
    }
}

impl Job<'_> {
    /// When it was first submitted, in milliseconds since the run began.
    #[must_use]
    pub fn began_ms(&self) -> u64 {
        self.submissions.first().map_or(0, |first| first.at_ms)
    }

    /// How many tasks it has.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.expected.as_ref().map_or(0, Expected::count)
    }

    /// Whether any submitter was told that it is safe.
    #[must_use]
    pub fn is_acknowledged(&self) -> bool {
        self.was_told(|answer| matches!(answer, Some(Answer::Acknowledged)))
    }

    /// Whether every submission was refused, so that the job can never have been.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        !self.was_told(|answer| !matches!(answer, Some(Answer::Refused { .. })))
    }

    /// Whether no submission of it was told anything certain.
    #[must_use]
    pub fn is_unclear(&self) -> bool {
        !self.was_told(|answer| !matches!(answer, None | Some(Answer::Unclear { .. })))
    }

    /// Whether a submission of it may have taken the job back, known to the rig or not.
    #[must_use]
    pub fn may_be_withdrawn(&self) -> bool {
        self.was_told(|answer| {
            matches!(
                answer,
                None | Some(Answer::Withdrawn { .. } | Answer::Unclear { .. })
            )
        })
    }

    /// Whether its znode ever said that.
    #[must_use]
    pub fn was(&self, state: &str) -> bool {
        self.lives.iter().any(|life| life.was(state))
    }

    fn was_told(&self, is_it: impl Fn(Option<&Answer>) -> bool) -> bool {
        self.submissions.iter().any(|submission| is_it(submission.answer))
    }
}
