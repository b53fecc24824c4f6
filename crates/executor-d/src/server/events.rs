//! What follows from each event.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use distjob_core::{JobEntry, JobId, JobState, Zxid, executor::Reason, store::Grant};
use distjob_runtime::{
    chance,
    member::BELONGING_PAUSE,
    zk::{JobChange, ZkError},
};

use super::{Event, Finish, Finished, Given, Queued, Running, Server, Stake, Visited, ahead::is_light};
use crate::{
    handler::Job,
    lease::{Ended, Later, Order, Work},
    visit::Found,
};

/// How long a job rests after the store failed to answer, or its answer was overtaken.
const STORE_PAUSE: Duration = Duration::from_millis(500);

/// How long a job rests whose znode ZooKeeper refuses to change, or that is too busy.
const REST: Duration = Duration::from_secs(2);

impl Server<'_> {
    pub(super) fn handle(&mut self, event: Event, now: Instant) {
        match event {
            Event::Ended(running, ended) => self.after_run(&running, ended, now),
            Event::Slots => self.take_back_slots(),
            Event::Visited(visited) => self.after_visit(visited, now),
            Event::Finished(finished) => self.after_finish(finished, now),
            Event::Given(given) => self.after_giving(&given, now),
            Event::Tokens(queue, answer) => {
                if let Some(lane) = self.lanes.of_mut(&queue) {
                    lane.receive(answer, now);
                }
            }
            Event::Belongs(belongs) => {
                self.ask_at = (!belongs).then(|| now + BELONGING_PAUSE);
            }
            Event::Freed(freed) => {
                for (id, ranges) in freed {
                    self.board.put_first(&id, ranges, now);
                }
            }
            Event::Members => {
                let roster = self.executors.borrow_and_update().clone();
                self.lanes.meet(&roster);
                self.departed.extend(self.board.meet(roster, now));
            }
            Event::Jobs(changes) => self.see(changes, now),
            Event::Switches => self.switch(),
            Event::Store => self.after_reconnect(now),
            Event::Settings => self.configure(),
            Event::Stop | Event::Over(_) | Event::Other => {}
        }
    }

    /// Takes over the configuration in force.
    pub(super) fn configure(&mut self) {
        self.config = self.executor.updates.borrow_and_update().clone();
        let executor = &self.config.executor;
        self.board.reconfigure(executor.sharing, executor.help_after);
        self.lanes.configure(&self.config);
        for (queue, lane) in self.lanes.iter() {
            self.board.set_precedence(queue, lane.precedence);
        }
    }

    /// Takes over what an operator has paused: what runs of such queues comes to its end, what has not begun is given back.
    /// Tasks that wait for another attempt stay in hand, with what is known of them.
    pub(super) fn switch(&mut self) {
        let switchboard = self.switches.borrow_and_update().clone();
        let paused = self.lanes.switch(&switchboard);
        if paused.is_empty() {
            return;
        }
        let is_paused = |job: &Job| paused.contains(&job.queue);
        self.runs.order(Order::Halt, is_paused);
        let mut works = self.dequeue(|queued| is_paused(&queued.work.job));
        if self.alone {
            // Everything waits for the suspect in hand.
            works.extend(self.lanes.extract(|work| is_paused(&work.job)));
        }
        self.give_back(works);
    }

    /// Takes notice of jobs. Whoever runs tasks of one that is cancelled, or gone, is stopped at once.
    pub(super) fn see(&mut self, changes: BTreeMap<JobId, JobChange>, now: Instant) {
        let mut over: BTreeMap<JobId, Option<Zxid>> = BTreeMap::new();
        for (id, change) in changes {
            let entry = match change {
                JobChange::Seen(entry) => Some(entry),
                JobChange::Gone => None,
            };
            // Of what stands there now only this life may still be run.
            let may_run = |entry: &&JobEntry| entry.data.state != JobState::Cancelled;
            let life = entry.as_ref().filter(may_run).map(|entry| entry.life);
            over.insert(id.clone(), life);
            self.board.see(&id, entry, now);
        }
        let is_over = |job: &Job| over.get(&job.id).is_some_and(|life| *life != Some(job.life));
        self.runs.order(Order::Kill, is_over);
        let mut works = self.dequeue(|queued| is_over(&queued.work.job));
        works.extend(self.lanes.extract(|work| is_over(&work.job)));
        for Work { job, lease, grip, .. } in works {
            grip.let_go(lease.range);
            self.hands.tidy(&job.id);
        }
    }

    fn after_visit(&mut self, visited: Visited, now: Instant) {
        let Visited {
            id,
            life,
            stake,
            found,
        } = visited;
        let claimed = match &found {
            Ok(Found::Lease { grant, .. }) => grant.lease.range.len(),
            _ => 0,
        };
        let expected = self.expect(&stake.queue, claimed);
        self.visiting = self.visiting.saturating_sub(stake.charged);
        self.board.correct(&stake.queue, stake.charged, expected);
        if let Some(lane) = self.lanes.of_mut(&stake.queue) {
            lane.coming -= 1;
            lane.claiming -= usize::from(stake.is_claim);
            lane.metrics.claims.inc_by(u64::from(claimed > 0));
            lane.purse.put_back(stake.tokens.saturating_sub(claimed));
            if let Ok(Found::Lease { grant, .. }) = &found {
                lane.is_light = is_light(&grant.tasks);
            }
        }
        match found {
            Ok(found) => self.act_on(
                &id,
                life,
                found,
                &Stake {
                    charged: expected,
                    ..stake
                },
                now,
            ),
            Err(error) => {
                tracing::warn!(job.id = %id, %error, "failed to claim, trying again");
                self.hands.doubt(&id, life);
                self.board.settle_at(&id, now + STORE_PAUSE, now);
            }
        }
        self.hands.end_visit(&id, life);
    }

    fn act_on(&mut self, id: &JobId, life: Zxid, found: Found, stake: &Stake, now: Instant) {
        match found {
            Found::Lease { grant, freed } => {
                // Not from the cursor: somebody gave it back, and maybe more than this. Suspects are in no haste.
                let was_given_back = grant.lease.range.hi() < grant.cursor && !self.alone;
                self.board.note_left(id, life, left_after(&grant));
                self.board.put_first(id, freed.max(was_given_back.into()), now);
                let has_more = grant.has_more();
                let is_new = self.enqueue(id, life, grant, was_given_back, stake, now);
                if self.ending.contains(id) {
                    return;
                }
                if is_new && has_more {
                    self.board.ripen(id, now);
                } else if is_new {
                    // Whoever asked now would hear no more than that. Looked at again when this lease has ended, if it must.
                    self.board.park_for_a_while(id, now);
                } else {
                    // The answer was overtaken; nobody may be left who works on what the store leases us.
                    self.hands.doubt(id, life);
                    self.board.settle_at(id, now + STORE_PAUSE, now);
                }
            }
            _ if self.ending.contains(id) => {}
            Found::Nothing => self.board.park_for_a_while(id, now),
            Found::Audited => self.board.ripen(id, now),
            Found::Isolated => self.isolated.push_back(id.clone()),
            Found::Finish(why) => self.finish(id, why),
            Found::Busy => self.board.settle_at(id, now + REST, now),
        }
    }

    /// Takes a lease into the hands, to wait for a slot. `false` when it is none, or not a new one.
    fn enqueue(
        &mut self,
        id: &JobId,
        life: Zxid,
        grant: Grant,
        first: bool,
        stake: &Stake,
        now: Instant,
    ) -> bool {
        let Some(grip) = self.hands.take(id, life, grant.lease.range) else {
            self.board.correct(&stake.queue, stake.charged, Duration::ZERO);
            return false;
        };
        let expected = self.pace(&stake.queue).expect(grant.lease.range.len());
        let job = Arc::new(Job {
            id: id.clone(),
            life,
            queue: stake.queue.clone(),
        });
        let mut work = Work::granted(job, grip, grant);
        work.expected = expected;
        work.deadline = self.deadline(id, now).map(Into::into);
        let is_paused = self.lanes.of(&stake.queue).is_none_or(|lane| lane.is_paused);
        // It was cancelled, or is for watchers, since it was asked for: nothing would stop what began now.
        let is_wanted = self.board.entry(id).is_some_and(|entry| entry.life == life);
        if is_paused || !is_wanted {
            self.board.correct(&stake.queue, stake.charged, Duration::ZERO);
            if let Some(lane) = self.lanes.of_mut(&stake.queue) {
                lane.take_back(work.lease.range.len());
            }
            self.give_back(vec![work]);
            return true;
        }
        if let Some(lane) = self.lanes.of_mut(&stake.queue) {
            lane.coming += 1;
        }
        let queued = Queued {
            work,
            charged: stake.charged,
            since: now,
        };
        if first {
            self.queue.push_front(queued);
        } else {
            self.queue.push_back(queued);
        }
        true
    }

    /// When the job is to be given up. Its znode says so by the date.
    fn deadline(&self, id: &JobId, now: Instant) -> Option<Instant> {
        let deadline = Duration::from_millis(self.board.entry(id)?.data.deadline_ms?);
        // One that is centuries away is none.
        now.checked_add(deadline.saturating_sub(chance::since_1970()))
    }

    fn after_run(&mut self, running: &Running, ended: Ended, now: Instant) {
        let Job { id, life, queue } = &*ended.job;
        self.board.correct(queue, running.charged, running.in_slot(now));
        let pace = self.executor.paces.entry(queue.clone()).or_default();
        pace.learn(ended.tasks_run, ended.elapsed);
        let (waits, mut unfit) = (!ended.later.is_empty(), Vec::new());
        if let Some(lane) = self.lanes.of_mut(queue) {
            lane.running -= usize::from(running.has_slot);
            lane.take_back(ended.unbegun);
            lane.metrics.retries.inc_by(ended.retries);
            lane.metrics.timeouts.inc_by(ended.timeouts);
            let (elsewhere, later): (Vec<_>, Vec<_>) =
                ended.later.into_iter().partition(|later| later.elsewhere);
            for Later { due, work, .. } in elsewhere {
                lane.rest(due.into_std());
                unfit.push(work);
            }
            // Nothing else runs beside a suspect, so there is nothing to do but to try it again.
            let at_once = self.alone.then(|| tokio::time::Instant::from_std(now));
            lane.wait(later.into_iter().map(|mut later| {
                later.due = at_once.unwrap_or(later.due);
                later
            }));
        }
        self.give_back(unfit);
        self.hands.tidy(id);
        let is_wanted = self.board.entry(id).is_some_and(|entry| entry.life == *life);
        if !ended.is_over {
            // The store still leases us something of it that nobody works on: the next claim brings it back.
            self.hands.doubt(id, *life);
        }
        if ended.job_is_complete && is_wanted {
            self.finish(id, Reason::Complete);
        } else if (ended.gave_back || !ended.is_over || !waits) && is_wanted && !self.ending.contains(id) {
            // What is not done is for anybody, or somebody else's.
            self.board.unpark(id, now);
        }
    }

    fn take_back_slots(&mut self) {
        for queue in self.runs.take_back_slots() {
            if let Some(lane) = self.lanes.of_mut(&queue) {
                lane.running -= 1;
            }
        }
    }

    fn after_finish(&mut self, finished: Finished, now: Instant) {
        let Finished { id, result } = finished;
        self.ending.remove(&id);
        match result {
            Ok(Finish::Marked) => {
                self.executor.metrics.jobs_processed.inc();
                self.board.park(&id, now);
            }
            Ok(Finish::Overtaken) => self.board.park(&id, now),
            Ok(Finish::StandStill) => {
                self.ask_at.get_or_insert(now + BELONGING_PAUSE);
                self.board.settle_at(&id, now + BELONGING_PAUSE, now);
            }
            // The term is over; the loop hears of it by itself.
            Err(ZkError::SessionOver) => {}
            Err(error) => {
                tracing::error!(job.id = %id, %error, "failed to mark the job as processed, trying again");
                self.board.settle_at(&id, now + REST, now);
            }
        }
    }

    fn after_giving(&mut self, given: &Given, now: Instant) {
        let Given { id, life, result } = given;
        self.hands.tidy(id);
        if let Err(error) = result {
            tracing::warn!(job.id = %id, %error, "failed to give back what was not begun");
            self.hands.doubt(id, *life);
        }
        if self.board.entry(id).is_some_and(|entry| entry.life == *life) && !self.ending.contains(id) {
            self.board.unpark(id, now);
        }
    }

    /// After a new connection replies may have been lost, and after a loss it matters how long it lasts.
    fn after_reconnect(&mut self, now: Instant) {
        let state = self.store.borrow_and_update().clone();
        let redis = &self.executor.doorman.conditions.redis;
        if state.connected {
            redis.met();
            self.store_away_since = None;
            self.start_audits();
            self.board.unpark_all(now);
        } else {
            redis.unmet(
                state
                    .last_error
                    .map_or_else(|| "no connection".to_owned(), |error| error.to_string()),
            );
            self.store_away_since.get_or_insert(now);
        }
    }
}

/// How many tasks of a job nobody has, as far as a grant tells: those that were never leased, or else, of those that
/// others hold or gave back, maybe a half.
fn left_after(grant: &Grant) -> u64 {
    match grant.count.saturating_sub(grant.cursor) {
        0 => grant.count.saturating_sub(grant.committed).div_ceil(2),
        left => left,
    }
}
