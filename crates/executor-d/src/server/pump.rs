//! What to start next: visits, audits, and what they need.

use std::time::{Duration, Instant};

use distjob_core::{JobEntry, JobId, JobState, QueueName, executor::Reason, store::Isolated};
use distjob_runtime::{drill, zk::Written};

use super::{
    AUDIT_EVERY, CHECK_EVERY, Finish, Finished, Queued, Server, Stake, Visited,
    ahead::{AHEAD_MAX, Outlook, Prospect, bytes_of_each},
    lanes::Lane,
};
use crate::visit::Visit;

/// Jobs that are being marked as processed at once.
const FINISHING_MAX: usize = 256;

impl Server<'_> {
    /// Starts whatever can be started now.
    pub(super) fn pump(&mut self, now: Instant) {
        self.board.wake(now);
        self.lanes.wake(now);
        if self.board.share_at(now).is_some_and(|at| at <= now) {
            self.board.share(now);
            let done = super::clock();
            self.board.shared(done, done - now);
            let share = i64::try_from(self.board.share_len()).unwrap_or(i64::MAX);
            self.executor.metrics.jobs_share.set(share);
        }
        // What they held lies in jobs that are this executor's share now.
        if !self.departed.is_empty() && !self.board.shares_are_outdated() {
            self.settle_estates();
        }
        if !self.isolated.is_empty() && !self.alone {
            // A suspect must be alone in hand. Who runs comes to its end; who waits for long could make it wait as long.
            self.give_back_all();
        }
        let may_claim = self.may_claim(now);
        self.fill_slots(now, may_claim);
        self.give_back_overdue(now);
        if now >= self.check_at && self.asking.is_empty() {
            self.ask(now);
        }
        if now >= self.audit_at {
            self.audit_at = now + AUDIT_EVERY;
            if may_claim {
                self.start_audits();
            }
        }
        if may_claim {
            self.claim(now);
        }
    }

    fn claim(&mut self, now: Instant) {
        let hands_are_empty = self.hands.are_empty() && self.visits.is_empty() && self.giving.is_empty();
        self.alone &= !hands_are_empty;
        self.ask_for_tokens(now);
        if self.alone {
            // A suspect is in hand, or on its way: whatever else was held would share its fate.
        } else if self.isolated.is_empty() {
            self.start_visits(now);
        } else if hands_are_empty {
            self.start_isolated_visit(now);
        }
    }

    /// When `pump` has something to do even if nothing happens.
    pub(super) fn wakes_at(&self, now: Instant) -> Instant {
        let is_asking = !self.asking.is_empty();
        let ask_at = self.ask_at.filter(|_| !is_asking);
        let check_at = Some(self.check_at).filter(|_| !is_asking);
        let leave_at = self
            .store_away_since
            .map(|since| since + self.config.executor.store_patience);
        let moments = [
            self.board.wakes_at(),
            self.overdue_at(),
            self.lanes
                .wakes_at(now, self.runs.have_room(self.config.executor.slots())),
            ask_at,
            check_at,
            self.board.share_at(now),
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

    /// Sees to it that queues with a rate have tokens when they have work.
    fn ask_for_tokens(&mut self, now: Instant) {
        for (queue, lane) in self.lanes.iter_mut() {
            let has_work = self.board.has_ripe(queue) || lane.waiting.first_due().is_some_and(|at| at <= now);
            let Some(limit) = lane
                .rate()
                .filter(|_| has_work && lane.may_begin() && lane.purse.should_ask(now))
            else {
                continue;
            };
            let pace = self.executor.paces.get(queue).cloned().unwrap_or_default();
            // As many as one wide claim needs: what is not spent at once is kept from the others.
            let want = pace.width(u64::MAX, 1, self.config.executor.width_limits());
            let want = u32::try_from(want).unwrap_or(u32::MAX).min(limit.burst().get());
            lane.purse.ask();
            let config = self.config.queue(queue);
            let (rate, burst) = (config.rate, config.burst);
            let (queue, store) = (queue.clone(), self.executor.doorman.store.clone());
            self.taking.spawn(async move {
                let tokens = store.take_tokens(&queue, rate, burst, want).await;
                (queue, tokens)
            });
        }
    }

    fn start_visits(&mut self, now: Instant) {
        while self.finishing.len() < FINISHING_MAX {
            let open = self.open_queues(now);
            if open.is_empty() {
                return;
            }
            let lanes = &self.lanes;
            let is_claiming = |queue: &QueueName| lanes.of(queue).is_some_and(|lane| lane.claiming > 0);
            let may_claim = |queue: &QueueName| open.contains(queue);
            let Some(id) = self.board.next_unless(now, may_claim, is_claiming) else {
                return;
            };
            let Some(entry) = self.board.entry(&id).cloned() else {
                continue;
            };
            if entry.data.count == 0 {
                self.finish(&id, Reason::Empty);
                continue;
            }
            let want = self.width(&id, &entry);
            self.visit(id, entry, want, Isolated::Leave);
        }
    }

    /// The queues of which one more lease would soon find a slot.
    fn open_queues(&self, now: Instant) -> Vec<QueueName> {
        let slots = self.config.executor.slots();
        let coming = self.visits.len() + self.queue.len();
        let free = slots - self.runs.in_slots().min(slots);
        // A slot that is busy for longer than it should be may stay so.
        let lately = now.checked_sub(AHEAD_MAX);
        let outlook = Outlook {
            free,
            soon_free: self.runs.begun_since(lately),
            work: self.work_coming(),
        };
        let is_short = |queued: &Queued| queued.work.expected.is_some_and(|expected| expected <= AHEAD_MAX);
        let all_are_short = self.queue.iter().all(is_short);
        let ahead_of = |queue: &QueueName, lane: &Lane| {
            if !all_are_short || !self.has_short_tasks(queue) {
                return 0;
            }
            outlook.ahead(Prospect {
                limit: lane.limit,
                moves: lane.may_begin() || self.runs.began_of(queue, lately),
                is_light: lane.is_light,
                next: self.expect(queue, 1),
            })
        };
        let soon_free_of = |queue: &QueueName, lane: &Lane| {
            let moves = self.runs.began_of(queue, lately);
            if moves {
                outlook.soon_free.min(lane.limit)
            } else {
                0
            }
        };
        let (mut open, mut next) = (Vec::new(), Vec::new());
        for (queue, lane) in self.lanes.iter() {
            let ahead = ahead_of(queue, lane);
            if coming < free + ahead && lane.may_claim(ahead) {
                open.push(queue.clone());
            } else if self.board.has_ripe(queue) && lane.may_claim(soon_free_of(queue, lane)) {
                next.push(queue);
            }
        }
        // Whoever claims ahead would have every slot before a queue does that may not, because its tasks are long.
        open.retain(|queue| !next.iter().any(|next| self.board.goes_before(next, queue)));
        open
    }

    /// How long a slot will be busy with what was, or is being, claimed and has not begun, as far as can be told.
    fn work_coming(&self) -> Duration {
        let queued = self.queue.iter().map(|queued| queued.charged);
        queued.fold(self.visiting, Duration::saturating_add)
    }

    fn has_short_tasks(&self, queue: &QueueName) -> bool {
        let pace = self.executor.paces.get(queue);
        let task = pace.and_then(|pace| pace.expect(1));
        task.is_none_or(|task| task <= AHEAD_MAX / 10)
    }

    fn width(&self, id: &JobId, entry: &JobEntry) -> u64 {
        let queue = &entry.data.queue;
        let slots = self.lanes.of(queue).map_or(1, Lane::sharing_slots);
        let left = self.board.left(id).unwrap_or(entry.data.count);
        self.pace(queue)
            .width(left, slots, self.config.executor.width_limits())
    }

    /// How long so many tasks of a queue are expected to keep a slot busy.
    pub(super) fn expect(&self, queue: &QueueName, tasks: u64) -> Duration {
        if tasks == 0 {
            return Duration::ZERO;
        }
        let expected = self.pace(queue).expect(tasks);
        expected.unwrap_or(self.config.executor.claim_target)
    }

    fn start_isolated_visit(&mut self, now: Instant) {
        let Some(id) = self.isolated.pop_front() else {
            return;
        };
        let Some(entry) = self.board.entry(&id).cloned() else {
            return;
        };
        if self
            .lanes
            .of(&entry.data.queue)
            .is_none_or(|lane| !lane.is_open())
        {
            self.board.ripen(&id, now);
            return;
        }
        self.alone = true;
        self.visit(id, entry, 1, Isolated::Take);
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
        let (want, stake) = self.stake(entry.data.queue.clone(), want, isolated);
        let bytes_max = self.bytes_max(&stake.queue);
        let visit = Visit {
            store: self.executor.doorman.store.clone(),
            holder: self.term.holder().clone(),
            roster: self.executors.clone(),
            metrics: self.executor.metrics.clone(),
            held: self.hands.begin_visit(&id, life),
            id,
            entry,
            want,
            bytes_max,
            isolate: self.config.executor.isolate_after,
            isolated,
        };
        self.visits.spawn(async move {
            let found = visit.run().await;
            Visited {
                id: visit.id,
                life,
                stake,
                found,
            }
        });
    }

    /// About the most bytes of payload that a claim of a queue may bring.
    fn bytes_max(&self, queue: &QueueName) -> u64 {
        let max = self.config.executor.claim_max_bytes;
        match self.lanes.of(queue) {
            Some(lane) if lane.is_light => bytes_of_each(max),
            _ => max,
        }
    }

    /// What a claim costs its queue, and how many tasks it can be for.
    fn stake(&mut self, queue: QueueName, want: u64, isolated: Isolated) -> (u64, Stake) {
        let is_claim = want > 0;
        let mut reserved = (want, 0);
        if let Some(lane) = self.lanes.of_mut(&queue) {
            lane.coming += 1;
            lane.claiming += usize::from(is_claim);
            let claimed = lane.reserve(want);
            // A suspect does not wait for tokens: everything else waits for it.
            if isolated == Isolated::Leave {
                reserved = claimed;
            }
        }
        let (want, tokens) = reserved;
        let charged = self.expect(&queue, want);
        self.visiting = self.visiting.saturating_add(charged);
        self.board.charge(&queue, charged);
        (
            want,
            Stake {
                queue,
                tokens,
                charged,
                is_claim,
            },
        )
    }

    /// Asks a watcher to look at a job.
    pub(super) fn finish(&mut self, id: &JobId, why: Reason) {
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
            if why.may_be_any_stores() && !doorman.belongs(ledger.session()).await {
                return Finished { id, result: Ok(Finish::StandStill) };
            }
            drill::point("before-processed");
            let data = entry.data.in_state(JobState::Processed);
            let result = ledger.set(&id, &entry, &data).await.map(|written| {
                if written != Written::Yes {
                    return Finish::Overtaken;
                }
                tracing::debug!(job.id = %id, queue = %entry.data.queue, %why, "asked a watcher to look at the job");
                Finish::Marked
            });
            Finished { id, result }
        });
    }
}
