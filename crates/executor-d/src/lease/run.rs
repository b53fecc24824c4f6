//! The loop of one lease.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use distjob_core::{
    TaskRange,
    executor::{AfterCommit, Treatment, after_commit, has_only_failed, treatment},
    store::{Commit, Standing},
};
use futures::{FutureExt as _, future::BoxFuture};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{Ended, Later, Order, Progress, RunLimits, Runner, Work, calls::Call};
use crate::{
    handler::{Failure, Tasks, Terms},
    server::{SMALL_BYTES, Slot},
};

/// What is recorded of a task that its handler began and never spoke of again.
const FORGOTTEN: &str = "the handler ended without an outcome of this task";

/// A run that has nothing to wait for wakes up after this time anyway.
const IDLE: Duration = Duration::from_secs(3600);

/// One lease that runs.
pub(super) struct Run {
    runner: Runner,
    work: Work,
    limits: RunLimits,
    orders: watch::Receiver<Order>,
    tasks: Tasks,
    /// While tasks run or may begin.
    handler: Option<BoxFuture<'static, ()>>,
    /// Given away after that, unless there is much to record: how much of that is in memory is bounded by the slots.
    slot: Option<Slot>,
    /// The call under way: one at a time, so that each answer is newer than the one before.
    call: Option<BoxFuture<'static, (Call, Commit)>>,
    /// What to call next.
    calls: VecDeque<Call>,
    /// When the handler began.
    begun: Instant,
    /// When to see whether it has more than it should.
    look_at: Instant,
    is_killed: bool,
    job_is_complete: bool,
    gave_back: bool,
    /// The tasks but for those that were given back.
    kept: Option<TaskRange>,
    /// What was given back, as long as that is not answered.
    leaving: Vec<TaskRange>,
    /// The newest answer of the store.
    last: Option<Commit>,
}

impl Run {
    pub(super) fn new(
        runner: Runner,
        work: Work,
        limits: RunLimits,
        orders: watch::Receiver<Order>,
        slot: Option<Slot>,
    ) -> Self {
        let tasks = Tasks::new(Terms {
            job: work.job.clone(),
            first: work.lease.range.lo(),
            payloads: work.payloads.clone(),
            attempt: work.attempt,
            alone: work.alone,
            policy: limits.policy,
            commit: limits.commit,
        });
        let now = Instant::now();
        let kept = Some(work.lease.range);
        Self {
            runner,
            work,
            limits,
            orders,
            tasks,
            handler: None,
            slot,
            call: None,
            calls: VecDeque::new(),
            begun: now,
            look_at: now + 2 * limits.target,
            is_killed: false,
            job_is_complete: false,
            gave_back: false,
            kept,
            leaving: Vec::new(),
            last: None,
        }
    }

    /// Runs and commits until there is nothing left to do.
    pub(super) async fn serve(&mut self) {
        if treatment(&self.work.lease, self.limits.poison_after) == Treatment::GiveUp {
            let deaths = self.work.lease.attempts;
            self.runner.metrics.tasks_given_up.inc();
            self.give_up(&format!(
                "given up: {deaths} executors died while they ran this task"
            ));
        } else {
            // It does nothing before it is polled.
            self.handler = Some(self.runner.handler.run(self.tasks.clone()));
        }
        let order = *self.orders.borrow_and_update();
        self.obey(order);
        while !self.is_killed && self.plan(Instant::now()) {
            self.step().await;
        }
    }

    /// Decides what follows from the time and what was heard, and starts the next call. Whether there is anything to
    /// wait for.
    fn plan(&mut self, now: Instant) -> bool {
        if self.handler.is_some() {
            if self.work.deadline.is_some_and(|deadline| now >= deadline) {
                self.give_up("the job's deadline has passed");
            } else if self.is_hopeless() {
                let failed = self.work.progress.failed;
                self.give_up(&format!(
                    "not run: the first {failed} tasks of the job all failed"
                ));
            } else if now >= self.look_at {
                self.share(now);
            }
        }
        for range in self.tasks.take_cut() {
            self.work.grip.leave(range);
            self.leaving.push(range);
            self.kept = self
                .kept
                .and_then(|kept| TaskRange::new(kept.lo(), range.lo().min(kept.hi())));
            self.calls.push_front(Call::Release(range));
            self.gave_back = true;
        }
        if self.call.is_none() {
            let is_due = self.handler.is_none() || self.tasks.commit_due().is_some_and(|due| due <= now);
            if self.calls.is_empty() && is_due {
                let runs = self.tasks.take_outcomes();
                self.calls
                    .extend(runs.into_iter().map(|(lo, run)| Call::Commit(lo, run)));
            }
            if let Some(call) = self.calls.pop_front() {
                self.call = Some(call.make(self.runner.clone(), self.work.job.clone()).boxed());
            }
        }
        if self.handler.is_none() && self.tasks.uncommitted_bytes() <= SMALL_BYTES {
            self.slot = None;
        }
        self.handler.is_some() || self.call.is_some()
    }

    /// Waits for the next thing that happens.
    async fn step(&mut self) {
        let wake_at = self.wakes_at();
        let Self {
            handler,
            call,
            orders,
            tasks,
            ..
        } = self;
        tokio::select! {
            biased;
            Ok(()) = orders.changed() => {
                let order = *orders.borrow_and_update();
                self.obey(order);
            }
            (made, answer) = async { call.as_mut().expect("looked at before").await }, if call.is_some() => {
                self.call = None;
                self.hear(&made, answer);
            }
            () = async { handler.as_mut().expect("looked at before").await }, if handler.is_some() => {
                self.handler = None;
                // What it could have begun is not its own any more either.
                self.tasks.cut(0);
                self.tasks.close(&Failure::new(FORGOTTEN));
            }
            () = tasks.changed() => {}
            () = sleep_until(wake_at) => {}
        }
    }

    fn is_hopeless(&self) -> bool {
        let Progress {
            committed,
            failed,
            count,
        } = self.work.progress;
        has_only_failed(committed, failed, count, self.limits.abort_after)
    }

    fn wakes_at(&self) -> Instant {
        let runs = self.handler.is_some();
        let commit_at = self.tasks.commit_due().filter(|_| self.call.is_none());
        let look_at = Some(self.look_at).filter(|_| runs && self.tasks.left() > 0);
        let deadline = self.work.deadline.filter(|_| runs);
        let moments = [commit_at, look_at, deadline];
        moments
            .into_iter()
            .flatten()
            .min()
            .unwrap_or_else(|| Instant::now() + IDLE)
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Go => {}
            Order::Halt => self.tasks.cut(0),
            Order::Kill => {
                self.is_killed = true;
                self.handler = None;
                self.call = None;
            }
        }
    }

    /// Nothing of it is run any more: what has no outcome gets this one.
    fn give_up(&mut self, why: &str) {
        self.handler = None;
        self.tasks.give_up(why);
    }

    /// A lease that takes much longer than it should gives back what it would not come to soon: else the last of a job
    /// would wait here while other slots are idle.
    fn share(&mut self, now: Instant) {
        let target = self.limits.target;
        self.look_at = now + 2 * target;
        let passed = now.duration_since(self.begun);
        // One of those that began is the one that takes so long.
        let done = self.tasks.begun().saturating_sub(1);
        let keep = target.as_secs_f64() / passed.as_secs_f64() * f64::from(done);
        // Saturates, and is a number: more than nothing has passed.
        let keep = keep as u32;
        if self.tasks.left() > keep {
            self.tasks.cut(keep);
        }
    }

    /// Takes notice of what the store answered.
    fn hear(&mut self, call: &Call, answer: Commit) {
        let (from, upto) = call.range();
        if let Call::Release(range) = call {
            self.work.grip.left(*range);
            self.leaving.retain(|leaving| leaving != range);
        }
        if let Call::Commit(_, outcomes) = call {
            self.tasks.put_away(outcomes.bytes().len());
            let metrics = &self.runner.metrics;
            if answer.accepted {
                metrics.recorded(
                    &self.work.job.queue,
                    outcomes.count() - outcomes.failed(),
                    outcomes.failed(),
                );
            } else {
                metrics.commits_refused.inc();
                tracing::info!(job.id = %self.work.job.id, range = %format_args!("{from}..{upto}"), "a commit was refused");
            }
        }
        if answer.standing == Standing::Open {
            self.work.progress = Progress {
                committed: answer.committed,
                failed: answer.failed,
                count: answer.count,
            };
        }
        let after = self.kept.map(|kept| after_commit(&answer, kept));
        self.job_is_complete |= after == Some(AfterCommit::Complete);
        if matches!(after, Some(AfterCommit::Complete | AfterCommit::Ended)) {
            self.is_lost();
        }
        self.last = Some(answer);
    }

    /// Nothing of it is leased to us any more: all is recorded, or somebody else's. But for what is to be given back, of
    /// which the answer says nothing.
    fn is_lost(&mut self) {
        self.calls.retain(|call| matches!(call, Call::Release(_)));
        drop(self.tasks.take_outcomes());
        if !self.tasks.are_settled() {
            self.handler = None;
            self.tasks.abandon();
        }
    }

    /// What came of it.
    pub(super) fn end(self) -> Ended {
        let tally = self.tasks.tally();
        let later = if self.is_killed { Vec::new() } else { self.later() };
        self.let_go_but_for(&later);
        // Some only when this was killed.
        self.leaving.iter().for_each(|range| self.work.grip.left(*range));
        let is_over = !self.is_killed && !self.has_strays();
        Ended {
            job: self.work.job,
            is_over,
            job_is_complete: self.job_is_complete,
            later,
            gave_back: self.gave_back,
            unbegun: (self.work.lease.range.len()).saturating_sub(self.tasks.begun().into()),
            tasks_run: tally.tasks_run,
            elapsed: tally.elapsed(),
            retries: tally.retries,
            timeouts: tally.timeouts,
        }
    }

    /// The tasks that wait, but for those that the store leases to us no longer.
    fn later(&self) -> Vec<Later> {
        let is_ours = |range: TaskRange| {
            self.last.as_ref().is_none_or(|answer| {
                let mut leases = answer.leases.iter();
                leases.any(|lease| lease.range.overlaps(range))
            })
        };
        let waiting = self.tasks.take_waiting();
        let later = waiting.into_iter().filter_map(|(index, waiting)| {
            let range = TaskRange::new(index, index + 1).filter(|range| is_ours(*range))?;
            let mut lease = self.work.lease;
            lease.range = range;
            let work = Work {
                job: self.work.job.clone(),
                grip: self.work.grip.clone(),
                lease,
                // A copy: it shall not keep all the others in memory.
                payloads: Arc::new([self.tasks.payload(index)].into_iter().collect()),
                attempt: waiting.attempt,
                alone: waiting.alone,
                progress: self.work.progress,
                deadline: self.work.deadline,
                expected: None,
            };
            Some(Later {
                due: waiting.due,
                elsewhere: waiting.elsewhere,
                work,
            })
        });
        later.collect()
    }

    fn let_go_but_for(&self, later: &[Later]) {
        // What was given back before may be in hand again, for another run.
        let Some(kept) = self.kept else { return };
        let grip = &self.work.grip;
        let mut from = kept.lo();
        for later in later {
            let range = later.work.lease.range;
            TaskRange::new(from, range.lo()).inspect(|done| grip.let_go(*done));
            from = range.hi();
        }
        TaskRange::new(from, kept.hi()).inspect(|done| grip.let_go(*done));
    }

    /// Whether the store leases us something of these tasks, as last heard, that nobody will work on.
    fn has_strays(&self) -> bool {
        let leases = self.last.iter().flat_map(|answer| &answer.leases);
        let mut ours = leases.filter(|lease| self.kept.is_some_and(|kept| kept.overlaps(lease.range)));
        ours.any(|lease| !self.work.grip.covers(lease.range))
    }
}
