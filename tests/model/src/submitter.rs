//! Those who make and unmake jobs: submitters (`submitter`'s `staging.rs` and `staging/commit.rs`), programs that do
//! without one, and an operator (`distjobctl`'s `cancel.rs`).
//!
//! What is decided at each step is in [`distjob_core::submission`] and [`distjob_core::ledger::allows`].

use distjob_core::{
    JobData, JobEntry, JobState, Source,
    ledger::{Actor, Settled, allows, settle},
    store::Push,
    submission::{Known, Opened, Withdrawal},
};

use crate::{
    bounds::Submission,
    mutant::Mutant,
    request::{Reply, Request, Script, Session, Who, Write},
    rules::{Rules, payloads, submitted},
};

/// A submitter of the one job, or an operator that cancels it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Submitter {
    pub(crate) who: Who,
    pub(crate) step: Step,
    /// Whether a create was sent of which nobody knows what became.
    unclear: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    Push,
    /// Are the tasks still there?
    Touch,
    Inspect,
    Create,
    /// What became of the create?
    LookCreated,
    Open(JobEntry),
    /// To be taken back, or cancelled: as what does it stand there?
    LookBack(Option<JobEntry>),
    TakeBack(Option<JobEntry>, JobEntry, JobData),
    /// What became of that write?
    LookTaken(Option<JobEntry>, JobEntry),
    /// It cannot go on, and does not know whether the job was created.
    GiveUp,
    Acknowledged,
    Over,
}

impl Submitter {
    pub(crate) const fn new(number: u8) -> Self {
        Self {
            who: Who::Submitter(number),
            step: Step::Push,
            unclear: false,
        }
    }

    pub(crate) const fn operator() -> Self {
        Self {
            who: Who::Operator,
            step: Step::LookBack(None),
            unclear: false,
        }
    }

    pub(crate) const fn session(&self) -> Session {
        Session {
            who: self.who,
            term: 1,
        }
    }

    pub(crate) const fn is_over(&self) -> bool {
        matches!(self.step, Step::Acknowledged | Step::Over)
    }

    /// Whether it is a program without a submitter that has not created its job: it waits until an earlier one ended.
    pub(crate) fn waits_for_the_id(&self, rules: &Rules) -> bool {
        self.kind(rules) == Submission::Plain && matches!(self.step, Step::Push | Step::Create)
    }

    pub(crate) fn kind(&self, rules: &Rules) -> Submission {
        match self.who {
            Who::Submitter(number) => rules.bounds.submissions[usize::from(number)],
            _ => Submission::Staged,
        }
    }

    const fn number(&self) -> u8 {
        match self.who {
            Who::Submitter(number) => number,
            _ => 0,
        }
    }

    /// The data that it creates the job with.
    pub(crate) fn data(&self, rules: &Rules) -> JobData {
        let token = format!("s{}", self.number());
        let is_staged = self.kind(rules) == Submission::Staged;
        submitted(rules.bounds.tasks, is_staged.then_some(&*token))
    }

    pub(crate) fn request(&self, rules: &Rules) -> Request {
        let id = || rules.job.clone();
        let (session, data) = (self.session(), self.data(rules));
        let (count, source) = (data.count, data.source.clone());
        let ledger = |write| Request::Ledger(session, write);
        match &self.step {
            Step::Push => {
                let tasks = payloads(self.number(), count);
                Request::Store(
                    id(),
                    Script::Push {
                        source,
                        offset: 0,
                        tasks,
                    },
                )
            }
            Step::Touch => {
                let tasks = Vec::new();
                Request::Store(
                    id(),
                    Script::Push {
                        source,
                        offset: count,
                        tasks,
                    },
                )
            }
            Step::Inspect => Request::Store(id(), Script::Inspect),
            Step::Create => ledger(Write::Create(id(), data)),
            Step::Open(created) => {
                let life = created.life;
                Request::Store(id(), Script::Open { life, count, source })
            }
            Step::TakeBack(_, now, data) => ledger(Write::Set(id(), now.clone(), data.clone())),
            Step::LookCreated | Step::LookBack(_) | Step::LookTaken(..) | Step::GiveUp => {
                ledger(Write::Read(id()))
            }
            Step::Acknowledged | Step::Over => unreachable!("it asks for nothing more"),
        }
    }

    pub(crate) fn take(&mut self, reply: Reply, rules: &Rules) {
        let step = std::mem::replace(&mut self.step, Step::Over);
        self.step = self.next(step, reply, rules);
    }

    fn next(&mut self, step: Step, reply: Reply, rules: &Rules) -> Step {
        let is_mine = |job: &JobEntry| job.data.source == self.data(rules).source;
        match (step, reply) {
            // Calls to the store, and reads, are repeated until they are answered.
            (step @ (Step::Push | Step::Touch | Step::Inspect | Step::Open(_)), Reply::Unclear) => step,
            (Step::Push, _) if self.kind(rules) == Submission::Plain => Step::Create,
            (Step::Push, Reply::Push(Push::Ok(_))) => Step::Touch,
            (Step::Push, _) => Step::Over,
            (Step::Touch, Reply::Push(Push::Ok(length))) if length == rules.bounds.tasks => Step::Inspect,
            (Step::Touch, Reply::Push(Push::Opened)) => Step::Acknowledged,
            (Step::Touch, _) => self.failed(),
            (Step::Inspect, Reply::Known(meta)) => match self.data(rules).source {
                Source::Staged(token) => match Known::judge(meta.as_ref(), &token) {
                    Known::Nothing => Step::Create,
                    Known::Ours => Step::Acknowledged,
                    Known::Open | Known::Done => Step::Over,
                },
                Source::Plain => Step::Create,
            },
            (step @ (Step::Create | Step::LookCreated), reply) => self.after_create(&step, reply, rules),
            (Step::Open(created), Reply::Open(open)) => match Opened::judge(&open, rules.bounds.tasks) {
                Opened::Safe => Step::Acknowledged,
                Opened::Failed(_) => Step::LookBack(Some(created)),
            },
            (Step::LookBack(created), Reply::Job(now)) => judge(created, now),
            (Step::TakeBack(..), Reply::Done) => Step::Over,
            (Step::TakeBack(created, before, _), _) => Step::LookTaken(created, before),
            (Step::LookTaken(created, before), Reply::Job(now)) => {
                match settle(&before, Some(JobState::Cancelled), now.as_ref()) {
                    Settled::Done => Step::Over,
                    Settled::NotDone | Settled::Overtaken => judge(created, now),
                }
            }
            (Step::GiveUp, Reply::Job(Some(job))) if is_mine(&job) => judge(Some(job.clone()), Some(job)),
            _ => Step::Over,
        }
    }

    /// `Ledger::create`, and what `Staging::commit` makes of it.
    fn after_create(&mut self, step: &Step, reply: Reply, rules: &Rules) -> Step {
        let is_plain = self.kind(rules) == Submission::Plain;
        let source = self.data(rules).source;
        match (step, reply) {
            (Step::Create, Reply::Job(_)) if is_plain => Step::Over,
            (Step::Create, Reply::Job(Some(_))) if rules.has(Mutant::SuccessBeforeOpen) => Step::Acknowledged,
            (Step::Create, Reply::Job(Some(created))) => Step::Open(created),
            (Step::Create, Reply::Unclear) if rules.has(Mutant::UnclearCreateFailed) => Step::Over,
            (Step::Create, _) => Step::LookCreated,
            (_, Reply::Job(Some(job))) if job.data.source == source && !is_plain => Step::Open(job),
            (_, Reply::Job(Some(_))) => Step::Over,
            (_, _) if is_plain => Step::Create,
            // Never created, or come and gone while the reply got lost: the store knows.
            (_, _) => {
                self.unclear = true;
                Step::Touch
            }
        }
    }

    const fn failed(&self) -> Step {
        if self.unclear { Step::GiveUp } else { Step::Over }
    }
}

/// How to take back what was `created`; or, without that, how an operator cancels what stands there.
fn judge(created: Option<JobEntry>, now: Option<JobEntry>) -> Step {
    let withdrawal = match (&created, &now) {
        (Some(created), now) => Withdrawal::judge(created, now.as_ref()),
        (None, Some(now)) if allows(Actor::Operator, now.data.state, Some(JobState::Cancelled)) => {
            Withdrawal::Write(now.data.in_state(JobState::Cancelled))
        }
        (None, _) => Withdrawal::Moot,
    };
    match (withdrawal, now) {
        (Withdrawal::Write(data), Some(now)) => Step::TakeBack(created, now, data),
        // Too late: it is done and delivered, which is a success.
        (Withdrawal::TooLate, _) if created.is_some() => Step::Acknowledged,
        _ => Step::Over,
    }
}
