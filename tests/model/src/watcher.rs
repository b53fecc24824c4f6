//! A watcher: `watcher-d`'s `pipeline.rs`, and the writes of `distjob_runtime::zk::Ledger`, as steps of one request each.
//!
//! What is to be done is decided by [`distjob_core::watcher`] and [`distjob_core::ledger::settle`]. One pipeline at a time.
//! The rest of a job before it goes back to the executors has no length here, and calls to the store are repeated until
//! they are answered. Follow-ups and archives (`zpd`) go as the ledger's table has them.

mod deliver;

use std::{collections::BTreeSet, sync::Arc};

use distjob_core::{
    JobData, JobEntry, JobId, JobState, Source,
    watcher::{FirstStep, Loss, Progress},
};

use self::deliver::after_status;
use crate::{
    ledger::Jobs,
    moves::Move,
    mutant::Mutant,
    request::{Reply, Request, Row, Script, Session, Write, token},
    rules::{Rules, payloads, submitted},
};

/// One term: all that ends with the session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Term {
    pub(crate) session: Session,
    /// The jobs as they were last seen.
    pub(crate) jobs: Arc<Jobs>,
    /// Jobs with nothing to do until they change, or some time has passed.
    pub(crate) parked: BTreeSet<JobId>,
    /// Whether the job of the pipeline changed since it was begun: then it is not put aside.
    stirred: bool,
    pub(crate) pipeline: Option<Pipeline>,
    /// How many lists were staged: each has a fresh token.
    staged: u8,
}

/// The way of one job through a watcher.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Pipeline {
    pub(crate) id: JobId,
    pub(crate) entry: JobEntry,
    step: Step,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Step {
    Lock,
    /// The lock was refused, or the reply was unclear: whose is it?
    Owner,
    /// Nobody's: is the job as it was?
    Recheck,
    /// Held: is the job still as it was?
    Confirm,
    Status(Option<Loss>),
    Read(Progress, Vec<Row>),
    Stage(Vec<Row>),
    Holds(Vec<Row>),
    Publish(Vec<Row>),
    Write(Writing),
    Open,
    /// Of a seeded bug.
    CreateFollowUp,
    FindFollowUp,
    OpenFollowUp(JobEntry),
    Drop,
    Unlock,
}

/// A write under the lock, sent until it is clear what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Writing {
    to: Target,
    unclear: bool,
    look: bool,
    refused: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Target {
    Lost(Loss),
    Returned,
    /// With what was collected.
    Zipped(Vec<Row>),
    Uploaded,
    Deleted,
}

impl Target {
    const fn state(&self) -> Option<JobState> {
        match self {
            Self::Lost(_) => Some(JobState::Lost),
            Self::Returned => Some(JobState::Submitted),
            Self::Zipped(_) => Some(JobState::Zipped),
            Self::Uploaded => Some(JobState::Uploaded),
            Self::Deleted => None,
        }
    }
}

const fn write(to: Target) -> Step {
    Step::Write(Writing {
        to,
        unclear: false,
        look: false,
        refused: false,
    })
}

impl Term {
    pub(crate) fn new(session: Session) -> Self {
        Self {
            session,
            jobs: Arc::default(),
            parked: BTreeSet::new(),
            stirred: false,
            pipeline: None,
            staged: 0,
        }
    }

    pub(crate) fn moves(&self) -> Vec<Move> {
        if self.pipeline.is_some() {
            return vec![Move::Go];
        }
        let concerns = |(id, entry): &(&JobId, &JobEntry)| {
            FirstStep::of(&entry.data) != FirstStep::Leave && !self.parked.contains(*id)
        };
        let ripe = self.jobs.iter().filter(concerns);
        ripe.map(|(id, _)| Move::Pick(id.clone())).collect()
    }

    pub(crate) fn begin(&mut self, chosen: &Move) {
        if let Move::Pick(id) = chosen {
            self.stirred = false;
            self.pipeline = Some(Pipeline {
                id: id.clone(),
                entry: self.jobs[id].clone(),
                step: Step::Lock,
            });
        }
    }

    pub(crate) fn request(&self, rules: &Rules) -> Option<Request> {
        let Pipeline { id, entry, step } = self.pipeline.as_ref()?;
        let (life, count, source) = (entry.life, entry.data.count, entry.data.source.clone());
        let ledger = |write| Request::Ledger(self.session, write);
        let store = |script| Request::Store(id.clone(), script);
        Some(match step {
            Step::Lock => ledger(Write::Lock(id.clone(), entry.clone())),
            Step::Owner | Step::Holds(_) => ledger(Write::Owner(id.clone())),
            Step::Recheck | Step::Confirm => ledger(Write::Read(id.clone())),
            Step::Status(_) => store(Script::Status { life, count, source }),
            Step::Read(progress, _) => store(Script::Read {
                life,
                from: progress.next(),
            }),
            Step::Stage(_) => {
                let id = rules.follow_up(id, life)?;
                let source = Source::Staged(token(&self.token()));
                let tasks = payloads(9, 1);
                Request::Store(
                    id,
                    Script::Push {
                        source,
                        offset: 0,
                        tasks,
                    },
                )
            }
            Step::Publish(rows) => Request::Publish(id.clone(), life, rows.clone()),
            Step::Write(step) if step.look => ledger(Write::Read(id.clone())),
            Step::Write(step) => ledger(self.write(id, entry, &step.to, rules)),
            Step::Open => store(Script::Open { life, count, source }),
            Step::CreateFollowUp => ledger(Write::Create(
                rules.follow_up(id, life)?,
                submitted(1, Some(&self.token())),
            )),
            Step::FindFollowUp => ledger(Write::Read(rules.follow_up(id, life)?)),
            Step::OpenFollowUp(follow_up) => Request::Store(
                rules.follow_up(id, life)?,
                Script::Open {
                    life: follow_up.life,
                    count: follow_up.data.count,
                    source: follow_up.data.source.clone(),
                },
            ),
            Step::Drop => store(Script::Drop { life, source }),
            Step::Unlock => ledger(Write::Unlock(id.clone())),
        })
    }

    /// Whether it still looks after this staged list.
    pub(crate) fn stages(&self, source: &Source) -> bool {
        self.pipeline.is_some() && self.staged > 0 && *source == Source::Staged(token(&self.token()))
    }

    fn token(&self) -> String {
        let crate::request::Who::Watcher(number) = self.session.who else {
            unreachable!("this is a watcher")
        };
        format!("w{number}-{}-{}", self.session.term, self.staged)
    }

    fn write(&self, id: &JobId, entry: &JobEntry, to: &Target, rules: &Rules) -> Write {
        let set = |data: JobData, then| Write::SetLocked(id.clone(), entry.clone(), data, then);
        match to {
            Target::Deleted => Write::Delete(id.clone(), entry.clone()),
            Target::Lost(loss) => set(entry.data.lost(&loss.to_string()), None),
            Target::Returned => set(entry.data.in_state(JobState::Submitted), None),
            Target::Zipped(_) => set(entry.data.in_state(JobState::Zipped), None),
            Target::Uploaded => {
                let in_one = !rules.has(Mutant::FollowUpOutsideMulti);
                let then = rules.follow_up(id, entry.life).filter(|_| in_one);
                let then = then.map(|id| (id, submitted(1, Some(&self.token()))));
                set(entry.data.in_state(JobState::Uploaded), then)
            }
        }
    }

    /// Takes the answer; `None` for a request that was never sent because the step has nothing to ask.
    pub(crate) fn take(&mut self, reply: Reply, rules: &Rules) {
        let Some(Pipeline { id, mut entry, step }) = self.pipeline.take() else {
            return;
        };
        let Some(step) = self.next(&id, &mut entry, step, reply, rules) else {
            if !self.stirred {
                self.parked.insert(id);
            }
            return;
        };
        self.pipeline = Some(Pipeline { id, entry, step });
    }

    /// The step after `step`, which was answered by `reply`; `None` when the pipeline has ended.
    fn next(
        &mut self,
        id: &JobId,
        entry: &mut JobEntry,
        step: Step,
        reply: Reply,
        rules: &Rules,
    ) -> Option<Step> {
        let is_unchanged =
            |now: &Option<JobEntry>| now.as_ref().is_some_and(|now| entry.is_unchanged_in(now));
        Some(match (step, reply) {
            (Step::Lock, Reply::Done) => Step::Confirm,
            (Step::Lock, Reply::Refused | Reply::Unclear) => Step::Owner,
            (Step::Owner, Reply::Owner(Some(_))) if rules.has(Mutant::UnclearLockFailed) => return None,
            (Step::Owner, Reply::Owner(Some(owner)))
                if owner == self.session || rules.has(Mutant::OwnerNotCompared) =>
            {
                Step::Confirm
            }
            (Step::Owner, Reply::Owner(Some(_))) => return None,
            (Step::Owner, Reply::Owner(None)) => Step::Recheck,
            (Step::Recheck, Reply::Job(now)) => {
                if !is_unchanged(&now) {
                    return None;
                }
                Step::Lock
            }
            (Step::Confirm, Reply::Job(now)) if !is_unchanged(&now) => Step::Unlock,
            (Step::Confirm, Reply::Job(_)) => self.first_step(id, entry, rules),
            (Step::Status(loss), Reply::Status(status)) => after_status(loss, entry, &status, rules),
            (Step::Read(progress, rows), Reply::Read(read)) => {
                self.collect(progress, rows, read, id, entry, rules)
            }
            // A store call that was not answered is repeated. So is a push: its list knows how long it should be.
            (step @ (Step::Stage(_) | Step::Open | Step::OpenFollowUp(_) | Step::Drop), Reply::Unclear) => {
                step
            }
            (Step::Stage(rows), _) => Step::Holds(rows),
            (Step::Holds(rows), Reply::Owner(owner)) => {
                if owner == Some(self.session) {
                    Step::Publish(rows)
                } else {
                    Step::Unlock
                }
            }
            (Step::Publish(_), _) if rules.has(Mutant::DropBeforeUploaded) => Step::Drop,
            (Step::Publish(_), _) => write(Target::Uploaded),
            (Step::Write(step), reply) => return self.after_write(step, reply, id, entry, rules),
            (Step::Open, _) => Step::Drop,
            (Step::FindFollowUp, Reply::Job(Some(follow_up))) => Step::OpenFollowUp(follow_up),
            (Step::CreateFollowUp, _) => Step::FindFollowUp,
            // It was opened before, and is done.
            (Step::FindFollowUp, _) => Step::Drop,
            (Step::OpenFollowUp(_), _) => Step::Drop,
            (Step::Drop, _) if entry.data.state == JobState::Processed => write(Target::Uploaded),
            (Step::Drop, _) => write(Target::Deleted),
            // Looked at and deleted again until the answer is clear.
            (Step::Unlock, Reply::Unclear) => Step::Unlock,
            (Step::Unlock, _) => return None,
            (step, reply) => unreachable!("no answer to {step:?}: {reply:?}"),
        })
    }

    /// The first step of a locked job, and what follows `uploaded`.
    fn first_step(&mut self, id: &JobId, entry: &JobEntry, rules: &Rules) -> Step {
        match FirstStep::of(&entry.data) {
            FirstStep::Examine if rules.has(Mutant::ProcessedIsTrusted) => {
                Step::Read(Progress::new(entry.data.count), Vec::new())
            }
            FirstStep::Examine => Step::Status(None),
            FirstStep::DeliverEmpty => self.hand_over(Vec::new(), id, entry, rules),
            FirstStep::CleanUp if self.has_follow_up(id, entry, rules) => Step::FindFollowUp,
            FirstStep::CleanUp => Step::Drop,
            FirstStep::Cancel if rules.has(Mutant::CancelWithoutOpen) => Step::Drop,
            FirstStep::Cancel => Step::Open,
            FirstStep::Delete => write(Target::Deleted),
            FirstStep::Leave => Step::Unlock,
        }
    }

    fn has_follow_up(&self, id: &JobId, entry: &JobEntry, rules: &Rules) -> bool {
        entry.data.state == JobState::Uploaded && rules.follow_up(id, entry.life).is_some()
    }

    /// Takes notice of the jobs as they are: one that changed is looked at again.
    pub(crate) fn see_jobs(&mut self, jobs: &Arc<Jobs>) {
        let known = &self.jobs;
        let changed = |id: &JobId| jobs.get(id) != known.get(id);
        self.stirred |= self
            .pipeline
            .as_ref()
            .is_some_and(|pipeline| changed(&pipeline.id));
        self.parked.retain(|id| !changed(id));
        self.jobs = jobs.clone();
    }
}
