//! What to start next: runs, visits, audits.

use std::time::{Duration, Instant};

use distjob_core::{JobEntry, JobId, JobState, QueueName, retry::Policy, store::Isolated};
use distjob_runtime::{drill, zk::Written};
use tokio::sync::watch;

use super::{AUDIT_EVERY, CHECK_EVERY, Finish, Finished, Server, Visited};
use crate::{
    handler::CommitLimits,
    lease::{Order, RunLimits, Runner},
    visit::Visit,
};

/// Jobs that are being marked as processed at once.
const FINISHING_MAX: usize = 256;

/// Shares are computed again no sooner than this, and no sooner than ten times as long as it took.
const SHARE_PAUSE: Duration = Duration::from_millis(10);

/// Leases are claimed ahead of free slots only while they are short: a long one would wait here while another
/// executor is idle.
const AHEAD_MAX: Duration = Duration::from_millis(500);

impl Server<'_> {
    /// Starts whatever can be started now.
    pub(super) fn pump(&mut self, now: Instant) {
        self.board.wake(now);
        if self.board.shares_are_stale() && now >= self.share_at {
            self.board.share(now);
            self.share_at = now + SHARE_PAUSE.max((super::clock() - now) * 10);
            let share = i64::try_from(self.board.share_len()).unwrap_or(i64::MAX);
            self.executor.metrics.jobs_share.set(share);
        }
        // What they held lies in jobs that are this executor's share now.
        if !self.departed.is_empty() && !self.board.shares_are_stale() {
            self.settle_estates();
        }
        self.start_runs();
        if now >= self.check_at && self.asking.is_empty() {
            self.ask(now);
        }
        let may_claim = self.may_claim(now);
        if now >= self.audit_at {
            self.audit_at = now + AUDIT_EVERY;
            if may_claim {
                self.start_audits();
            }
        }
        if !may_claim {
            return;
        }
        let hands_are_empty = self.hands.are_empty() && self.visits.is_empty();
        self.alone &= !hands_are_empty;
        if self.alone {
            // A suspect is in hand, or on its way: whatever else was held would share its fate.
        } else if self.isolated.is_empty() {
            self.start_visits(now);
        } else if hands_are_empty {
            self.start_isolated_visit();
        }
    }

    /// When `pump` has something to do even if nothing happens.
    pub(super) fn wakes_at(&self) -> Instant {
        let share_at = self.board.shares_are_stale().then_some(self.share_at);
        let is_asking = !self.asking.is_empty();
        let ask_at = self.ask_at.filter(|_| !is_asking);
        let check_at = Some(self.check_at).filter(|_| !is_asking);
        let leave_at = self
            .store_away_since
            .map(|since| since + self.config.store_patience);
        let later_at = self.later.first_key_value().map(|((due, _), _)| due.into_std());
        let later_at = later_at.filter(|_| self.running.len() < self.config.slots());
        let moments = [
            later_at,
            self.board.wakes_at(),
            ask_at,
            check_at,
            share_at,
            leave_at,
            Some(self.audit_at),
        ];
        moments.into_iter().flatten().min().unwrap_or(self.audit_at)
    }

    /// No new claims without a connection to ZooKeeper, nor while store and ledger do not belong together.
    fn may_claim(&mut self, now: Instant) -> bool {
        if let Some(ask_at) = self.ask_at {
            if now >= ask_at && self.asking.is_empty() {
                self.ask(now);
            }
            return false;
        }
        self.term.session().is_connected()
    }

    fn ask(&mut self, now: Instant) {
        let session = self.term.session().clone();
        let doorman = self.executor.doorman.clone();
        self.check_at = now + CHECK_EVERY;
        self.asking.spawn(async move { doorman.belongs(&session).await });
    }

    fn start_runs(&mut self) {
        while self.running.len() < self.config.slots() {
            let now = tokio::time::Instant::now();
            let due = self.later.first_entry().filter(|entry| entry.key().0 <= now);
            let Some(work) = due.map(|entry| entry.remove()).or_else(|| self.queue.pop_front()) else {
                return;
            };
            let Some(handler) = self.executor.handlers.of(&work.job.queue).cloned() else {
                unreachable!("it has a handler for each queue that it serves");
            };
            let limits = self.run_limits(&work.job.queue);
            let runner = Runner {
                store: self.executor.doorman.store.clone(),
                holder: self.term.holder().clone(),
                handler,
                metrics: self.executor.metrics.clone(),
            };
            let (orders, obeys) = watch::channel(Order::Go);
            self.orders.retain(|orders| !orders.is_closed());
            self.orders.push(orders);
            self.running.spawn(runner.run(work, limits, obeys));
        }
    }

    fn run_limits(&self, queue: &QueueName) -> RunLimits {
        let config = self.executor.updates.borrow();
        let queue = config.queue(queue);
        RunLimits {
            commit: CommitLimits {
                bytes: usize::try_from(self.config.commit_max_bytes).unwrap_or(usize::MAX),
                time: self.config.commit_every,
            },
            policy: Policy {
                attempts: queue.attempts,
                initial: queue.retry_initial,
                max: queue.retry_max,
            },
            poison_after: self.config.poison_after,
            abort_after: queue.abort_after,
            target: self.config.claim_target,
        }
    }

    fn start_visits(&mut self, now: Instant) {
        while self.has_room() && self.finishing.len() < FINISHING_MAX {
            let Some(id) = self.board.next(now, |_| true) else {
                return;
            };
            let Some(entry) = self.board.entry(&id).cloned() else {
                continue;
            };
            if entry.data.count == 0 {
                self.finish(&id, "it has no tasks");
                continue;
            }
            let want = self.width(&entry);
            self.visit(id, entry, want, Isolated::Leave);
        }
    }

    /// Whether one more lease would soon find a slot.
    fn has_room(&self) -> bool {
        let slots = self.config.slots();
        let coming = self.visits.len() + self.queue.len();
        let free = slots - self.running.len().min(slots);
        let is_short = |expected: Option<Duration>| expected.is_some_and(|expected| expected <= AHEAD_MAX);
        let ahead = if self.queue.iter().all(|work| is_short(work.expected)) && self.paces_are_short() {
            slots
        } else {
            0
        };
        coming < free + ahead
    }

    fn paces_are_short(&self) -> bool {
        self.executor
            .paces
            .values()
            .all(|pace| pace.expect(1).is_none_or(|task| task <= AHEAD_MAX / 10))
    }

    fn width(&self, entry: &JobEntry) -> u64 {
        let slots = self
            .board
            .roster()
            .slots_for(&entry.data.queue)
            .max(self.config.slots() as u64);
        self.pace(&entry.data.queue)
            .width(entry.data.count, slots, self.config.width_limits())
    }

    fn start_isolated_visit(&mut self) {
        let Some(id) = self.isolated.pop_front() else {
            return;
        };
        if let Some(entry) = self.board.entry(&id).cloned() {
            self.alone = true;
            self.visit(id, entry, 1, Isolated::Take);
        }
    }

    /// Asks of every doubtful job whether the store leases us something that we do not know of. This has to be done
    /// however busy the slots are: nobody else can.
    pub(super) fn start_audits(&mut self) {
        let board = &self.board;
        self.hands
            .forget_doubts(|id, life| board.entry(id).is_some_and(|entry| entry.life == life));
        let doubtful: Vec<JobId> = self.hands.doubtful().map(|(id, _)| id.clone()).collect();
        for id in doubtful {
            if let Some(entry) = self.board.take(&id) {
                self.visit(id, entry, 0, Isolated::Leave);
            }
        }
    }

    fn visit(&mut self, id: JobId, entry: JobEntry, want: u64, isolated: Isolated) {
        let life = entry.life;
        let queue = entry.data.queue.clone();
        let visit = Visit {
            store: self.executor.doorman.store.clone(),
            holder: self.term.holder().clone(),
            roster: self.executors.clone(),
            metrics: self.executor.metrics.clone(),
            held: self.hands.begin_visit(&id, life),
            id,
            entry,
            want,
            bytes_max: self.config.claim_max_bytes,
            isolate: self.config.isolate_after,
            isolated,
        };
        self.visits.spawn(async move {
            let found = visit.run().await;
            Visited {
                id: visit.id,
                life,
                queue,
                found,
            }
        });
    }

    /// Asks a watcher to look at a job.
    pub(super) fn finish(&mut self, id: &JobId, why: &'static str) {
        let Some(entry) = self
            .board
            .entry(id)
            .cloned()
            .filter(|_| self.ending.insert(id.clone()))
        else {
            return;
        };
        let _ = self.board.take(id);
        let id = id.clone();
        let ledger = self.term.ledger().clone();
        let doorman = self.executor.doorman.clone();
        self.finishing.spawn(async move {
            // A store that is not ours, or was emptied, says "missing" of everything.
            if entry.data.count > 0 && !doorman.belongs(ledger.session()).await {
                return Finished { id, result: Ok(Finish::StandStill) };
            }
            drill::point("before-processed");
            let data = entry.data.in_state(JobState::Processed);
            let result = ledger.set(&id, &entry, &data).await.map(|written| {
                if written == Written::Yes {
                    tracing::debug!(job.id = %id, queue = %entry.data.queue, why, "asked a watcher to look at the job");
                }
                Finish::Settled
            });
            Finished { id, result }
        });
    }
}
