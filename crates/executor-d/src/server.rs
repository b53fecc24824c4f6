//! One term of an executor: one loop that selects an event, decides, and starts what follows.
//!
//! ```text
//!  jobs, members ──► board ──next──► visit ──lease──► queue ──free slot──► run ──ended──┐
//!                      ▲               │ nothing: park · finish: set prcd               │
//!                      └───────────────┴───────────────────────────────────────────────┘
//! ```
//!
//! Reading order: this file (the events and what follows from each), `pump` (what to start next), `estate` (what the
//! dead left), `drain` (leaving).

mod drain;
mod estate;
mod pump;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use distjob_core::{
    Holder, JobId, QueueName, Roster, Zxid,
    board::{Board, BoardSettings, Interest},
    width::Pace,
};
use distjob_runtime::{
    health::Heartbeat,
    member::{BELONGING_PAUSE, Doorman},
    shutdown::Stop,
    store::{ConnectionState, StoreError},
    zk::{ConnectionWatch, JobChange, Term, ZkError},
};
use tokio::{
    sync::watch,
    task::{JoinError, JoinSet},
    time::sleep_until,
};

use crate::{
    config::{Config, ExecutorConfig},
    handler::{Handlers, Job},
    hands::Hands,
    lease::{Ended, Order, Work},
    metrics::ExecutorMetrics,
    visit::Found,
};

/// How long a job rests after the store failed to answer.
const STORE_PAUSE: Duration = Duration::from_millis(500);

/// How long a job rests whose znode ZooKeeper refuses to change, or that is too busy.
const REST: Duration = Duration::from_secs(2);

/// While all is well, the ledger mark is looked at so often: an idle executor hears in no other way that the store is
/// gone, and an emptied store answers like any other.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// How often a job is audited on which a reply was unclear.
const AUDIT_EVERY: Duration = Duration::from_secs(60);

/// Why a term ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TermEnd {
    /// The daemon was asked to stop, and has left.
    Stopped,
    /// The session is over, or the store was away for too long: begin another term.
    Over,
}

/// What outlives a term.
pub(crate) struct Executor {
    /// Lets us in.
    pub(crate) doorman: Doorman,
    /// What to do with tasks.
    pub(crate) handlers: Handlers,
    /// The configuration in force.
    pub(crate) updates: watch::Receiver<Arc<Config>>,
    /// The request to stop.
    pub(crate) stop: Stop,
    /// To say that the loop turns.
    pub(crate) heartbeat: Heartbeat,
    /// What is counted.
    pub(crate) metrics: ExecutorMetrics,
    /// What is known of the tasks of each queue.
    pub(crate) paces: BTreeMap<QueueName, Pace>,
}

/// A visit that came back.
struct Visited {
    id: JobId,
    life: Zxid,
    queue: QueueName,
    found: Result<Found, StoreError>,
}

/// An attempt to mark a job as processed.
struct Finished {
    id: JobId,
    result: Result<Finish, ZkError>,
}

enum Finish {
    /// The znode says so now, or something later.
    Settled,
    /// It is not known whether the store belongs to the ledger: nothing was written.
    StandStill,
}

/// What the loop waits for.
enum Event {
    Stop,
    Over(&'static str),
    Ended(Ended),
    Visited(Visited),
    Finished(Finished),
    Belongs(bool),
    /// Ranges of the dead were freed, so many of each of these jobs.
    Freed(Vec<(JobId, u64)>),
    Members,
    Jobs(BTreeMap<JobId, JobChange>),
    /// The connection to the store came or went.
    Store,
    Settings,
    /// The connection to ZooKeeper came or went, or it is time for something: `pump` looks what.
    Other,
}

/// One term.
pub(crate) struct Server<'a> {
    executor: &'a mut Executor,
    term: Term,
    executors: watch::Receiver<Arc<Roster>>,
    connection: ConnectionWatch,
    store: watch::Receiver<ConnectionState>,
    config: ExecutorConfig,
    board: Board,
    hands: Hands,
    /// Jobs of which only ranges are left that must be run alone.
    isolated: VecDeque<JobId>,
    /// Whether one of those was asked for and is not done.
    alone: bool,
    /// Leases that wait for a slot.
    queue: VecDeque<Work>,
    /// Tasks that wait for their next attempt, by when that is due and in which order they came.
    later: BTreeMap<(tokio::time::Instant, u64), Work>,
    /// How many of those there were.
    later_count: u64,
    /// Jobs that are being marked as processed.
    ending: BTreeSet<JobId>,
    visits: JoinSet<Visited>,
    running: JoinSet<Ended>,
    finishing: JoinSet<Finished>,
    /// Executors that died since their estates were last looked into.
    departed: Vec<Holder>,
    /// Free what the dead held.
    estates: JoinSet<Vec<(JobId, u64)>>,
    /// Asks whether store and ledger belong together.
    asking: JoinSet<bool>,
    /// While they do not: when to ask again.
    ask_at: Option<Instant>,
    /// While they do: when to make sure.
    check_at: Instant,
    /// Give orders to running leases.
    orders: Vec<watch::Sender<Order>>,
    audit_at: Instant,
    share_at: Instant,
    /// Since when the store has not answered.
    store_away_since: Option<Instant>,
}

impl<'a> Server<'a> {
    /// Prepares to serve `term`.
    pub(crate) fn new(executor: &'a mut Executor, term: Term) -> Self {
        let config = executor.updates.borrow_and_update().executor.clone();
        let settings = BoardSettings {
            interest: Interest::Execution(config.queues.iter().cloned().collect()),
            sharing: config.sharing,
            help_after: config.help_after,
        };
        let now = clock();
        Self {
            board: Board::new(term.holder().name.clone(), settings),
            executors: term.executors.subscribe(),
            connection: term.session().watch_connection(),
            store: executor.doorman.store.connection_state(),
            executor,
            term,
            config,
            hands: Hands::default(),
            isolated: VecDeque::new(),
            alone: false,
            queue: VecDeque::new(),
            later: BTreeMap::new(),
            later_count: 0,
            ending: BTreeSet::new(),
            visits: JoinSet::new(),
            running: JoinSet::new(),
            finishing: JoinSet::new(),
            departed: Vec::new(),
            estates: JoinSet::new(),
            asking: JoinSet::new(),
            ask_at: None,
            check_at: now + CHECK_EVERY,
            orders: Vec::new(),
            audit_at: now + AUDIT_EVERY,
            share_at: now,
            store_away_since: None,
        }
    }

    /// Serves until the term is over or the daemon is asked to stop, and leaves in good order.
    pub(crate) async fn serve(mut self) -> TermEnd {
        let end = loop {
            self.executor.heartbeat.beat();
            let now = clock();
            if self.store_was_away_too_long(now) {
                tracing::warn!(
                    "redis was away for too long: leaving, so that others can have what is leased here"
                );
                break TermEnd::Over;
            }
            self.pump(now);
            self.measure();
            match self.next_event().await {
                Event::Stop => break TermEnd::Stopped,
                Event::Over(why) => {
                    tracing::warn!(member = %self.term.holder().name, why, "the term is over, beginning another one");
                    break TermEnd::Over;
                }
                event => self.handle(event, clock()),
            }
        };
        for order in &self.orders {
            order.send_replace(Order::Halt);
        }
        match end {
            TermEnd::Stopped => self.drain().await,
            TermEnd::Over => {
                self.executor
                    .doorman
                    .conditions
                    .registered
                    .unmet("between two sessions");
                self.abandon().await;
            }
        }
        end
    }

    async fn next_event(&mut self) -> Event {
        let wake_at = self.wakes_at();
        tokio::select! {
            biased;
            () = self.executor.stop.requested() => Event::Stop,
            why = self.term.over() => Event::Over(why),
            Some(ended) = self.running.join_next() => Event::Ended(joined(ended)),
            Some(visited) = self.visits.join_next() => Event::Visited(joined(visited)),
            Some(finished) = self.finishing.join_next() => Event::Finished(joined(finished)),
            Some(belongs) = self.asking.join_next() => Event::Belongs(joined(belongs)),
            Some(freed) = self.estates.join_next() => Event::Freed(joined(freed)),
            Ok(()) = self.executors.changed() => Event::Members,
            changes = self.term.jobs.changes() => Event::Jobs(changes),
            Ok(()) = self.executor.updates.changed() => Event::Settings,
            () = self.connection.changed() => Event::Other,
            Ok(()) = self.store.changed() => Event::Store,
            () = self.executor.heartbeat.due() => Event::Other,
            () = sleep_until(wake_at.into()) => Event::Other,
        }
    }

    fn handle(&mut self, event: Event, now: Instant) {
        match event {
            Event::Ended(ended) => self.after_run(ended, now),
            Event::Visited(visited) => self.after_visit(visited, now),
            Event::Finished(finished) => self.after_finish(finished, now),
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
                self.departed.extend(self.board.meet(roster, now));
            }
            Event::Jobs(changes) => {
                for (id, change) in changes {
                    let entry = match change {
                        JobChange::Seen(entry) => Some(entry),
                        JobChange::Gone => None,
                    };
                    self.board.see(&id, entry, now);
                }
            }
            Event::Store => self.after_reconnect(now),
            Event::Settings => {
                self.config = self.executor.updates.borrow_and_update().executor.clone();
                self.board
                    .reconfigure(self.config.sharing, self.config.help_after);
            }
            Event::Stop | Event::Over(_) | Event::Other => {}
        }
    }

    fn after_visit(&mut self, visited: Visited, now: Instant) {
        let Visited {
            id,
            life,
            queue,
            found,
        } = visited;
        match found {
            Ok(found) => self.act_on(id.clone(), life, queue, found, now),
            Err(error) => {
                tracing::warn!(job.id = %id, %error, "failed to claim, trying again");
                self.hands.doubt(&id, life);
                self.board.settle_at(&id, now + STORE_PAUSE, now);
            }
        }
        self.hands.end_visit(&id, life);
    }

    fn act_on(&mut self, id: JobId, life: Zxid, queue: QueueName, found: Found, now: Instant) {
        match found {
            Found::Lease { grant, freed } => {
                let range = grant.lease.range;
                // Not from the cursor: somebody gave it back, and maybe more than this. Suspects are in no haste.
                let was_given_back = range.hi() < grant.cursor && !self.alone;
                if let Some(grip) = self.hands.take(&id, life, range) {
                    let expected = self.pace(&queue).expect(range.len());
                    let job = Job {
                        id: id.clone(),
                        life,
                        queue,
                    };
                    let mut work = Work::granted(job.into(), grip, grant);
                    work.expected = expected;
                    if was_given_back {
                        self.queue.push_front(work);
                    } else {
                        self.queue.push_back(work);
                    }
                }
                self.board.put_first(&id, freed.max(was_given_back.into()), now);
                if !self.ending.contains(&id) {
                    self.board.ripen(&id, now);
                }
            }
            _ if self.ending.contains(&id) => {}
            Found::Nothing => self.board.park(&id, now),
            Found::Audited => self.board.ripen(&id, now),
            Found::Isolated => self.isolated.push_back(id),
            Found::Finish(why) => self.finish(&id, why),
            Found::Busy => self.board.settle_at(&id, now + REST, now),
        }
    }

    fn after_run(&mut self, ended: Ended, now: Instant) {
        let Job { id, life, queue } = &*ended.job;
        self.hands.tidy(id);
        let pace = self.executor.paces.entry(queue.clone()).or_default();
        pace.learn(ended.tasks_run, ended.elapsed);
        for later in ended.later {
            self.later_count += 1;
            self.later.insert((later.due, self.later_count), later.work);
        }
        if ended.job_is_complete && self.board.entry(id).is_some_and(|entry| entry.life == *life) {
            self.finish(id, "every task has its outcome");
        } else if !ended.is_over && !self.ending.contains(id) {
            // The store still leases us something of it that nobody works on: the next claim brings it back.
            self.hands.doubt(id, *life);
            self.board.ripen(id, now);
        }
    }

    fn after_finish(&mut self, finished: Finished, now: Instant) {
        let Finished { id, result } = finished;
        self.ending.remove(&id);
        match result {
            Ok(Finish::Settled) => {
                self.executor.metrics.jobs_processed.inc();
                self.board.park(&id, now);
            }
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

    fn store_was_away_too_long(&self, now: Instant) -> bool {
        self.store_away_since
            .is_some_and(|since| now - since >= self.config.store_patience)
    }

    fn pace(&self, queue: &QueueName) -> Pace {
        self.executor.paces.get(queue).cloned().unwrap_or_default()
    }

    fn measure(&self) {
        let metrics = &self.executor.metrics;
        let session_connected = self.term.session().is_connected();
        for (gauge, value) in [
            (&metrics.jobs_submitted, self.board.len()),
            (&metrics.leases, self.hands.ranges()),
            (&metrics.slots_busy, self.running.len()),
            (&metrics.executors, self.board.roster().members.len()),
            (&metrics.watchers, self.term.watchers.roster().members.len()),
            (&metrics.session_connected, usize::from(session_connected)),
        ] {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
        if session_connected {
            self.executor.doorman.conditions.zookeeper.met();
        } else {
            self.executor
                .doorman
                .conditions
                .zookeeper
                .unmet("the session has no connection");
        }
    }
}

/// The time by tokio's clock, which a simulation pauses.
fn clock() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The outcome of a task that is never cancelled while the loop runs.
fn joined<T>(outcome: Result<T, JoinError>) -> T {
    match outcome {
        Ok(output) => output,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => unreachable!("nobody cancels it: {error}"),
        },
    }
}
