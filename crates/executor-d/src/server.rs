//! One term of an executor: one loop that selects an event, decides, and starts what follows.
//!
//! ```text
//!  jobs, members ──► board ──next──► visit ──lease──► queue ──free slot──► run ──ended──┐
//!                      ▲               │ nothing: park · finish: set prcd    ▲ due      │
//!                      │               │                                  waiting ◄─────┤ another attempt
//!                      └───────────────┴────────────────────────────────────────────────┘
//! ```
//!
//! Reading order: this file (what a term has, and its loop), `events` (what follows from each event), `pump` (what to
//! start next), `slots` (what begins in them), `lanes` (the queues), `runs` (what runs), `waiting` and `purse` (retries
//! and rates), `give` (giving back), `estate` (what the dead left), `drain` (leaving).

mod ahead;
mod drain;
mod estate;
mod events;
mod give;
mod lanes;
mod pump;
mod purse;
mod runs;
mod slots;
mod waiting;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use distjob_core::{
    Holder, JobId, QueueName, Roster, Switchboard, Zxid,
    board::{Board, BoardSettings, Interest},
    rate::Tokens,
    width::Pace,
};
use distjob_runtime::{
    health::Heartbeat,
    member::Doorman,
    shutdown::Stop,
    store::{ConnectionState, StoreError},
    zk::{ConnectionWatch, JobChange, Term, ZkError},
};
use futures::FutureExt as _;
use tokio::{
    sync::watch,
    task::{JoinError, JoinSet},
    time::sleep_until,
};

#[cfg(test)]
pub(crate) use self::runs::GivenAway;
pub(crate) use self::runs::{SMALL_BYTES, Slot};
use self::{
    lanes::Lanes,
    runs::{Running, Runs},
};
use crate::{
    config::Config,
    handler::Handlers,
    hands::Hands,
    lease::{Ended, Work},
    metrics::ExecutorMetrics,
    visit::Found,
};

/// While all is well, the ledger mark is looked at so often: an idle executor hears in no other way that the store is
/// gone, and an emptied store answers like any other.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// How often a job is audited on which a reply was unclear.
const AUDIT_EVERY: Duration = Duration::from_secs(60);

/// Most events that are handled in a row.
const EVENTS_MAX: usize = 64;

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

/// What a queue staked on a visit.
struct Stake {
    queue: QueueName,
    /// Tokens that were reserved.
    tokens: u64,
    /// Service that was charged.
    charged: Duration,
    /// Whether something was asked for.
    is_claim: bool,
}

/// A visit that came back.
struct Visited {
    id: JobId,
    life: Zxid,
    stake: Stake,
    found: Result<Found, StoreError>,
}

/// A lease that waits for a slot, and what its queue was charged for it.
struct Queued {
    work: Work,
    charged: Duration,
    /// Since when it waits.
    since: Instant,
}

/// An attempt to mark a job as processed.
struct Finished {
    id: JobId,
    result: Result<Finish, ZkError>,
}

enum Finish {
    /// The znode says so now, and we wrote it.
    Marked,
    /// It said so, or something later, before we could.
    Overtaken,
    /// It is not known whether the store belongs to the ledger: nothing was written.
    StandStill,
}

/// An attempt to give something of a job back.
struct Given {
    id: JobId,
    life: Zxid,
    result: Result<(), StoreError>,
}

/// What the loop waits for.
enum Event {
    Stop,
    Over(&'static str),
    Ended(Running, Ended),
    /// Leases have given away their slots.
    Slots,
    Visited(Visited),
    Finished(Finished),
    Given(Given),
    Tokens(QueueName, Result<Tokens, StoreError>),
    Belongs(bool),
    /// Ranges of the dead were freed, so many of each of these jobs.
    Freed(Vec<(JobId, u64)>),
    Members,
    Jobs(BTreeMap<JobId, JobChange>),
    /// An operator switched something on or off.
    Switches,
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
    switches: watch::Receiver<Arc<Switchboard>>,
    connection: ConnectionWatch,
    store: watch::Receiver<ConnectionState>,
    config: Arc<Config>,
    board: Board,
    lanes: Lanes,
    hands: Hands,
    /// Jobs of which only ranges are left that must be run alone.
    isolated: VecDeque<JobId>,
    /// Whether one of those was asked for and is not done.
    alone: bool,
    /// Leases that wait for a slot.
    queue: VecDeque<Queued>,
    /// Jobs that are being marked as processed.
    ending: BTreeSet<JobId>,
    visits: JoinSet<Visited>,
    /// How long a slot will be busy with what they bring, as far as can be told.
    visiting: Duration,
    runs: Runs,
    finishing: JoinSet<Finished>,
    giving: JoinSet<Given>,
    taking: JoinSet<(QueueName, Result<Tokens, StoreError>)>,
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
    audit_at: Instant,
    /// Since when the store has not answered.
    store_away_since: Option<Instant>,
}

impl<'a> Server<'a> {
    /// Prepares to serve `term`.
    pub(crate) fn new(executor: &'a mut Executor, term: Term) -> Self {
        let config = executor.updates.borrow_and_update().clone();
        let settings = BoardSettings {
            interest: Interest::Execution(config.executor.queues.iter().cloned().collect()),
            sharing: config.executor.sharing,
            help_after: config.executor.help_after,
        };
        let now = clock();
        let mut server = Self {
            board: Board::new(term.holder().name.clone(), settings),
            lanes: Lanes::new(&config, &executor.metrics),
            executors: term.executors.subscribe(),
            switches: term.queues.subscribe(),
            connection: term.session().watch_connection(),
            store: executor.doorman.store.connection_state(),
            executor,
            term,
            config,
            hands: Hands::default(),
            isolated: VecDeque::new(),
            alone: false,
            queue: VecDeque::new(),
            ending: BTreeSet::new(),
            visits: JoinSet::new(),
            visiting: Duration::ZERO,
            runs: Runs::default(),
            finishing: JoinSet::new(),
            giving: JoinSet::new(),
            taking: JoinSet::new(),
            departed: Vec::new(),
            estates: JoinSet::new(),
            asking: JoinSet::new(),
            ask_at: None,
            check_at: now + CHECK_EVERY,
            audit_at: now + AUDIT_EVERY,
            store_away_since: None,
        };
        server.configure();
        server.switch();
        server
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
            let event = self.next_event().await;
            if let Some(end) = self.handle_all(event) {
                break end;
            }
        };
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

    /// Handles an event and those that have come with it, before anything is started that follows from them: so what
    /// follows goes out together. How the term ends, when it does.
    fn handle_all(&mut self, first: Event) -> Option<TermEnd> {
        let (mut next, mut left) = (Some(first), EVENTS_MAX);
        while let Some(event) = next {
            match event {
                Event::Stop => return Some(TermEnd::Stopped),
                Event::Over(why) => {
                    tracing::warn!(member = %self.term.holder().name, why, "the term is over, beginning another one");
                    return Some(TermEnd::Over);
                }
                // It is time for something, and is so until that was done.
                Event::Other => return None,
                event => self.handle(event, clock()),
            }
            left -= 1;
            next = if left > 0 {
                self.next_event().now_or_never()
            } else {
                None
            };
        }
        None
    }

    async fn next_event(&mut self) -> Event {
        let wake_at = self.wakes_at(clock());
        let given_away = self.runs.given_away();
        tokio::select! {
            biased;
            () = self.executor.stop.requested() => Event::Stop,
            why = self.term.over() => Event::Over(why),
            Some((running, ended)) = self.runs.next() => Event::Ended(running, ended),
            () = given_away.changed() => Event::Slots,
            Some(visited) = self.visits.join_next() => Event::Visited(joined(visited)),
            Some(finished) = self.finishing.join_next() => Event::Finished(joined(finished)),
            Some(given) = self.giving.join_next() => Event::Given(joined(given)),
            Some(taken) = self.taking.join_next() => {
                let (queue, tokens) = joined(taken);
                Event::Tokens(queue, tokens)
            }
            Some(belongs) = self.asking.join_next() => Event::Belongs(joined(belongs)),
            Some(freed) = self.estates.join_next() => Event::Freed(joined(freed)),
            Ok(()) = self.executors.changed() => Event::Members,
            changes = self.term.jobs.changes() => Event::Jobs(changes),
            Ok(()) = self.switches.changed() => Event::Switches,
            Ok(()) = self.executor.updates.changed() => Event::Settings,
            () = self.connection.changed() => Event::Other,
            Ok(()) = self.store.changed() => Event::Store,
            () = self.executor.heartbeat.due() => Event::Other,
            () = sleep_until(wake_at.into()) => Event::Other,
        }
    }

    fn store_was_away_too_long(&self, now: Instant) -> bool {
        let patience = self.config.executor.store_patience;
        self.store_away_since.is_some_and(|since| now - since >= patience)
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
            (&metrics.slots_busy, self.runs.in_slots()),
            (&metrics.executors, self.board.roster().members.len()),
            (&metrics.watchers, self.term.watchers.roster().members.len()),
            (&metrics.session_connected, usize::from(session_connected)),
        ] {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
        self.lanes.iter().for_each(|(_, lane)| lane.measure());
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
