//! What the world outside saw of a run: who submitted what and was told what, and what was executed how often.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use distjob_core::{JobId, Source};

use crate::plan::Submission;

/// What a submitter was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The job is safe.
    Created,
    /// A job of this id was submitted before.
    Before,
    /// It was not submitted and never will be, for this reason.
    Failed(String),
    /// Whether it was submitted is not known, for this reason.
    Unclear(String),
}

/// A submission, and what came of it.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// What was to be submitted.
    pub submission: Submission,
    /// Where its tasks were staged, as soon as something was.
    pub source: Option<Source>,
    /// What the submitter was told; nothing when it died before.
    pub answer: Option<Answer>,
}

/// The history of one run. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct History(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    attempts: BTreeMap<u32, Attempt>,
    executions: BTreeMap<(u32, u32), u32>,
    cancelled: Vec<JobId>,
}

impl History {
    /// A submission begins.
    pub fn begin(&self, submission: &Submission) {
        let attempt = Attempt {
            submission: submission.clone(),
            source: None,
            answer: None,
        };
        self.state().attempts.insert(submission.number, attempt);
    }

    /// Its tasks go there.
    pub fn staged(&self, number: u32, source: Source) {
        if let Some(attempt) = self.state().attempts.get_mut(&number) {
            attempt.source = Some(source);
        }
    }

    /// Its submitter was told this.
    pub fn answered(&self, number: u32, answer: Answer) {
        if let Some(attempt) = self.state().attempts.get_mut(&number) {
            attempt.answer = Some(answer);
        }
    }

    /// A task begins to run. Returns how often it has begun.
    pub fn executed(&self, submission: u32, index: u32) -> u32 {
        let mut state = self.state();
        let count = state.executions.entry((submission, index)).or_default();
        *count += 1;
        *count
    }

    /// An operator cancels a job, or tries to.
    pub fn cancels(&self, id: &JobId) {
        self.state().cancelled.push(id.clone());
    }

    /// All submissions, by number.
    #[must_use]
    pub fn attempts(&self) -> Vec<Attempt> {
        self.state().attempts.values().cloned().collect()
    }

    /// Whether somebody cancelled a job of that id.
    #[must_use]
    pub fn was_cancelled(&self, id: &JobId) -> bool {
        self.state().cancelled.contains(id)
    }

    /// How often each task of each submission was begun.
    #[must_use]
    pub fn executions(&self) -> BTreeMap<(u32, u32), u32> {
        self.state().executions.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
