//! One term of a watcher: one loop that selects an event, decides, and starts what follows.
//!
//! ```text
//!  jobs, members ──► board ──next──► pipeline (as many at once as configured) ──ended──┐
//!                      ▲                                                              │
//!                      └── gone, settled: park · failed: later · not ours: stand still ┘
//! ```
//!
//! Nothing is remembered about a job that the stores do not tell, but for what is in the [spool](kept): whoever comes next
//! can resume.

mod events;
mod kept;
mod leave;
mod outlets;
mod trouble;

use std::{
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

use distjob_core::{
    JobEntry, JobId, Roster,
    board::{Board, BoardSettings, Interest},
};
use distjob_runtime::{
    health::Heartbeat,
    member::{Doorman, beating},
    shutdown::Stop,
    store::ConnectionState,
    zk::{ConnectionWatch, Term},
};
use tokio::{
    sync::watch,
    task::{JoinError, JoinSet},
    time::sleep_until,
};
use tokio_util::sync::CancellationToken;

use self::kept::Kept;
use crate::{
    attempts::Attempts,
    census::Census,
    config::{Config, LOCKS_MAX},
    metrics::WatcherMetrics,
    pipeline::{Attempted, InSpool, Pipeline, Tools},
    sink::Place,
    slots::Slots,
};

pub(crate) use self::outlets::Outlets;

/// While all is well, the ledger mark is looked at so often: an emptied store answers like any other.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// Jobs that were left to others are looked at again so often, in case that one of them gave a lock back unheard.
const UNPARK_EVERY: Duration = Duration::from_secs(10);

/// Why a term ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TermEnd {
    /// The daemon was asked to stop, and has left.
    Stopped,
    /// Begin another term.
    Over,
}

/// What outlives a term.
#[derive(Debug)]
pub(crate) struct Watcher {
    /// Lets us in.
    pub doorman: Doorman,
    /// Where results are put together, and where they go.
    pub outlets: Outlets,
    /// The configuration in force.
    pub updates: watch::Receiver<Arc<Config>>,
    /// The request to stop.
    pub stop: Stop,
    /// To say that the loop turns.
    pub heartbeat: Heartbeat,
    /// What is counted.
    pub metrics: WatcherMetrics,
}

/// A pipeline that came back.
struct Finished {
    id: JobId,
    /// What the job looked like when it was picked.
    picked: JobEntry,
    attempted: Attempted,
}

/// Something beside the pipelines that came back.
enum Chore {
    /// Whether the store is known to belong to the ledger.
    Checked(bool),
    Swept,
    /// Lists of a result that nothing comes of.
    Forgotten,
    /// A note about a sink.
    Noted,
}

/// One term.
pub(crate) struct Server<'a> {
    watcher: &'a mut Watcher,
    term: Term,
    config: Arc<Config>,
    tools: Arc<Tools>,
    board: Board,
    pipelines: JoinSet<Finished>,
    chores: JoinSet<Chore>,
    attempts: Attempts,
    kept: Kept,
    census: Census,
    roster: watch::Receiver<Arc<Roster>>,
    zookeeper: ConnectionWatch,
    redis: watch::Receiver<ConnectionState>,
    /// Whether the store is known to belong to the ledger. While it is not, no job is touched.
    trusted: bool,
    /// When to look at the ledger mark again; `None` while that is being done.
    check_at: Option<Instant>,
    /// By which list the sweep goes that is under way.
    sweeping: Option<Arc<Roster>>,
    unpark_at: Instant,
}

impl<'a> Server<'a> {
    /// Prepares to serve `term`, which began because the store belongs to the ledger.
    pub(crate) fn new(watcher: &'a mut Watcher, term: Term) -> Self {
        let config = Arc::clone(&watcher.updates.borrow_and_update());
        let holder = term.holder().clone();
        let settings = BoardSettings {
            interest: Interest::Delivery,
            sharing: config.watcher.sharing,
            help_after: config.watcher.help_after,
        };
        let abandon = CancellationToken::new();
        let tools = Tools {
            ledger: term.ledger().clone(),
            doorman: watcher.doorman.clone(),
            member: holder.name.clone(),
            spool: watcher.outlets.spool(&config, &holder),
            in_spool: InSpool::default(),
            sinks: watcher.outlets.sinks(&config),
            config: Arc::clone(&config),
            metrics: watcher.metrics.clone(),
            slots: Arc::new(Slots::new()),
            bulky: Arc::default(),
            recall: abandon.child_token(),
            abandon,
        };
        let now = clock();
        Self {
            board: Board::new(holder.name, settings),
            pipelines: JoinSet::new(),
            chores: JoinSet::new(),
            attempts: Attempts::default(),
            kept: Kept::default(),
            census: Census::default(),
            roster: term.watchers.subscribe(),
            zookeeper: term.session().watch_connection(),
            redis: watcher.doorman.store.connection_state(),
            trusted: true,
            check_at: Some(now + CHECK_EVERY),
            sweeping: None,
            unpark_at: now + UNPARK_EVERY,
            watcher,
            term,
            config,
            tools: Arc::new(tools),
        }
    }

    /// Serves until the term is over or the daemon is asked to stop, and leaves in good order.
    pub(crate) async fn serve(mut self) -> TermEnd {
        let end = loop {
            match self.turn().await {
                ControlFlow::Continue(()) => self.pump(),
                ControlFlow::Break(end) => break end,
            }
        };
        let grace = match end {
            TermEnd::Stopped => self.config.watcher.grace_period,
            TermEnd::Over => {
                let registered = &self.watcher.doorman.conditions.registered;
                registered.unmet("between two sessions");
                Duration::ZERO
            }
        };
        let heartbeat = self.watcher.heartbeat.clone();
        beating(&heartbeat, self.leave(grace)).await;
        end
    }

    async fn turn(&mut self) -> ControlFlow<TermEnd> {
        self.watcher.heartbeat.beat();
        self.measure();
        let wake_at = self.wake_at();
        tokio::select! {
            biased;
            () = self.watcher.stop.requested() => return ControlFlow::Break(TermEnd::Stopped),
            why = self.term.over() => {
                tracing::warn!(member = %self.tools.member, why, "the term is over, beginning another one");
                return ControlFlow::Break(TermEnd::Over);
            }
            Some(finished) = self.pipelines.join_next() => self.after_pipeline(unwrap(finished)),
            Some(chore) = self.chores.join_next() => self.after_chore(&unwrap(chore)),
            Ok(()) = self.roster.changed() => self.meet(),
            changes = self.term.jobs.changes() => self.see(changes),
            () = self.zookeeper.changed() => self.zookeeper_changed(),
            Ok(()) = self.redis.changed() => self.check_at = self.check_at.map(|_| clock()),
            Ok(()) = self.watcher.updates.changed() => self.reconfigure(),
            () = sleep_until(wake_at.into()) => self.on_time(),
            () = self.watcher.heartbeat.due() => {}
        }
        ControlFlow::Continue(())
    }

    fn wake_at(&self) -> Instant {
        let job_at = self.board.wakes_at().filter(|_| self.has_room());
        [self.board.share_at(clock()), job_at, self.check_at]
            .into_iter()
            .flatten()
            .fold(self.unpark_at, Instant::min)
    }

    fn on_time(&mut self) {
        let now = clock();
        if self.check_at.is_some_and(|at| at <= now) {
            self.check_at = None;
            let (doorman, session) = (self.watcher.doorman.clone(), self.term.session().clone());
            self.chores
                .spawn(async move { Chore::Checked(doorman.belongs(&session).await) });
        }
        if self.unpark_at <= now {
            self.unpark_at = now + UNPARK_EVERY;
            self.board.unpark_all(now);
        }
    }

    /// Whether another job may be taken in hand.
    fn has_room(&self) -> bool {
        let watcher = &self.config.watcher;
        let most = self.with_stand_ins(watcher.in_hand_max(), &[Place::Pipeline, Place::InHand]);
        self.trusted && self.pipelines.len() < most.min(LOCKS_MAX)
    }

    /// As many as `most`, and half as many more in place of those that hold such a place and wait for sinks that take long. So
    /// jobs for other sinks go on where a sink answers nobody, however many it has caught.
    fn with_stand_ins(&self, most: usize, places: &[Place]) -> usize {
        let sinks = self.tools.sinks.values();
        let waiting = sinks.flat_map(|sink| places.iter().map(|place| sink.long(*place)));
        most + waiting.sum::<usize>().min(most.div_ceil(2))
    }

    /// Starts as many pipelines as there is room for.
    fn pump(&mut self) {
        let slots = self.with_stand_ins(self.config.watcher.pipelines, &[Place::Pipeline]);
        self.tools.slots.fit(slots);
        let now = clock();
        if self.board.share_at(now).is_some_and(|at| at <= now) {
            self.board.share(now);
            let done = clock();
            self.board.shared(done, done - now);
            self.watcher.metrics.jobs_share.set(count(self.board.share_len()));
        }
        while self.has_room() {
            let Some(id) = self.board.next(now, |_| true) else {
                return;
            };
            let Some(entry) = self.board.entry(&id).cloned() else {
                continue;
            };
            let pipeline = Pipeline {
                tools: Arc::clone(&self.tools),
                slot: None,
                rested: self.attempts.has_rested(&id, &entry),
                harvest: self.kept.take(&id),
                id: id.clone(),
                entry: entry.clone(),
            };
            self.measure_spool();
            self.pipelines.spawn(async move {
                Finished {
                    id,
                    picked: entry,
                    attempted: pipeline.run().await,
                }
            });
        }
    }
}

/// The time by tokio's clock, which a simulation rules.
fn clock() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn count(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}

/// What a task returned; a panic goes on here, and ends the daemon.
fn unwrap<T>(joined: Result<T, JoinError>) -> T {
    match joined {
        Ok(output) => output,
        Err(failure) => std::panic::resume_unwind(failure.into_panic()),
    }
}
