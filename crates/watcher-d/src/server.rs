//! One term of a watcher: one loop that selects an event, decides, and starts what follows.
//!
//! ```text
//!  jobs, members ──► board ──next──► pipeline (as many at once as configured) ──ended──┐
//!                      ▲                                                              │
//!                      └── gone, settled: park · failed: later · not ours: stand still ┘
//! ```
//!
//! Nothing is remembered about a job that the stores do not tell: whoever comes next can resume.

use std::{
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

use distjob_core::{
    Holder, JobEntry, JobId, Roster,
    board::{Board, BoardSettings, Interest},
};
use distjob_runtime::{
    chance,
    health::Heartbeat,
    member::{BELONGING_PAUSE, Doorman, beating},
    shutdown::{Stop, drain},
    store::ConnectionState,
    zk::{ConnectionWatch, JobChange, Term, ZkError},
};
use tokio::{
    sync::watch,
    task::{JoinError, JoinSet},
    time::sleep_until,
};
use tokio_util::sync::CancellationToken;

use crate::{
    attempts::Attempts,
    census::Census,
    config::{Config, SinkConfig},
    metrics::WatcherMetrics,
    pipeline::{Ended, Pipeline, Tools, Trouble},
    sink::{Sink, Sinks},
};

/// Shares are computed again no sooner than this, and no sooner than ten times as long as it took.
const SHARE_PAUSE: Duration = Duration::from_millis(10);

/// While all is well, the ledger mark is looked at so often: an emptied store answers like any other.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// Jobs that were left to others are looked at again so often, in case that one of them gave a lock back unheard.
const UNPARK_EVERY: Duration = Duration::from_secs(10);

/// How long leaving itself may take, out of the grace period.
const LEAVING_MAX: Duration = Duration::from_secs(2);

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
    /// Where results go.
    pub sinks: Arc<dyn Sinks>,
    /// Where they went since the start, the sink in force last: those who die may have been at work in any of them.
    pub used_sinks: Vec<SinkConfig>,
    /// The configuration in force.
    pub updates: watch::Receiver<Arc<Config>>,
    /// The request to stop.
    pub stop: Stop,
    /// To say that the loop turns.
    pub heartbeat: Heartbeat,
    /// What is counted.
    pub metrics: WatcherMetrics,
}

impl Watcher {
    /// The sink of `holder` that is in force from now on.
    fn sink(&mut self, config: &SinkConfig, holder: &Holder) -> Arc<dyn Sink> {
        self.used_sinks.retain(|used| used != config);
        self.used_sinks.push(config.clone());
        self.sinks.sink(config, holder)
    }
}

/// A pipeline that came back.
struct Finished {
    id: JobId,
    entry: JobEntry,
    result: Result<Ended, Trouble>,
}

/// Something beside the pipelines that came back.
enum Chore {
    /// Whether the store is known to belong to the ledger.
    Checked(bool),
    Swept,
}

/// One term.
pub(crate) struct Server<'a> {
    watcher: &'a mut Watcher,
    term: Term,
    config: Arc<Config>,
    tools: Tools,
    board: Board,
    pipelines: JoinSet<Finished>,
    chores: JoinSet<Chore>,
    attempts: Attempts,
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
    share_at: Instant,
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
        let tools = Tools {
            ledger: term.ledger().clone(),
            doorman: watcher.doorman.clone(),
            member: holder.name.clone(),
            sink: watcher.sink(&config.sink, &holder),
            config: Arc::clone(&config),
            metrics: watcher.metrics.clone(),
            abandon: CancellationToken::new(),
        };
        let now = clock();
        Self {
            board: Board::new(holder.name, settings),
            pipelines: JoinSet::new(),
            chores: JoinSet::new(),
            attempts: Attempts::default(),
            census: Census::default(),
            roster: term.watchers.subscribe(),
            zookeeper: term.session().watch_connection(),
            redis: watcher.doorman.store.connection_state(),
            trusted: true,
            check_at: Some(now + CHECK_EVERY),
            sweeping: None,
            share_at: now,
            unpark_at: now + UNPARK_EVERY,
            watcher,
            term,
            config,
            tools,
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
        let share_at = self.board.shares_are_stale().then_some(self.share_at);
        let has_room = self.trusted && self.pipelines.len() < self.config.watcher.pipelines;
        let job_at = self.board.wakes_at().filter(|_| has_room);
        [share_at, job_at, self.check_at]
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

    /// Starts as many pipelines as there is room for.
    fn pump(&mut self) {
        let now = clock();
        if self.board.shares_are_stale() && self.share_at <= now {
            self.board.share(now);
            let done = clock();
            self.share_at = done + SHARE_PAUSE.max((done - now) * 10);
            self.watcher.metrics.jobs_share.set(count(self.board.share_len()));
        }
        while self.trusted && self.pipelines.len() < self.config.watcher.pipelines {
            let Some(id) = self.board.next(now, |_| true) else {
                return;
            };
            let Some(entry) = self.board.entry(&id).cloned() else {
                continue;
            };
            let pipeline = Pipeline {
                tools: self.tools.clone(),
                rested: self.attempts.has_rested(&id, &entry),
                id: id.clone(),
                entry: entry.clone(),
            };
            self.pipelines.spawn(async move {
                Finished {
                    id,
                    entry,
                    result: pipeline.run().await,
                }
            });
        }
    }

    fn after_pipeline(&mut self, Finished { id, entry, result }: Finished) {
        let now = clock();
        let failure = match result {
            Ok(Ended::Deleted | Ended::Settled) | Err(Trouble::ZooKeeper(ZkError::SessionOver)) => {
                self.attempts.forget(&id);
                self.board.park(&id, now);
                return;
            }
            Ok(Ended::Rest(rest)) => {
                self.attempts.rests(&id, &entry);
                self.board.settle_at(&id, now + rest, now);
                return;
            }
            Err(Trouble::NotOurs) => {
                self.stand_still();
                self.board.ripen(&id, now);
                return;
            }
            Err(failure) => failure,
        };
        let config = &self.config.watcher;
        let wait = self
            .attempts
            .failed(&id, &entry, config.retry_initial, config.retry_max);
        let delay = chance::upper_half(wait);
        let retry_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        let queue = &entry.data.queue;
        match &failure {
            Trouble::Sink(_) => {
                self.watcher.metrics.sink_failures.inc();
            }
            Trouble::Store(_) => self.check_at = self.check_at.map(|_| now),
            _ => {}
        }
        let failure = anyhow::Error::from(failure);
        tracing::error!(job.id = %id, %queue, retry_ms, "failed to {failure:#}, trying again");
        self.board.settle_at(&id, now + delay, now);
    }

    fn after_chore(&mut self, chore: &Chore) {
        match chore {
            Chore::Checked(true) => {
                if !self.trusted {
                    tracing::info!("the store answers and belongs to the ledger, going on");
                }
                self.trusted = true;
                self.check_at = Some(clock() + CHECK_EVERY);
            }
            Chore::Checked(false) => {
                self.stand_still();
                self.check_at = Some(clock() + BELONGING_PAUSE);
            }
            Chore::Swept => {
                let swept = self.sweeping.take();
                if swept.is_none_or(|by| !Arc::ptr_eq(&by, &self.roster.borrow())) {
                    self.sweep();
                }
            }
        }
    }

    /// No job is touched until the store is known to belong to the ledger again. Why has been logged.
    fn stand_still(&mut self) {
        self.trusted = false;
        self.check_at = self.check_at.map(|_| clock() + BELONGING_PAUSE);
    }

    fn see(&mut self, changes: impl IntoIterator<Item = (JobId, JobChange)>) {
        let now = clock();
        for (id, change) in changes {
            let entry = match change {
                JobChange::Seen(entry) => Some(entry),
                JobChange::Gone => {
                    self.attempts.forget(&id);
                    None
                }
            };
            self.census.see(&id, entry.as_ref().map(|entry| entry.data.state));
            self.board.see(&id, entry, now);
        }
        for (state, count) in self.census.counts() {
            self.watcher.metrics.jobs_in(state, count);
        }
    }

    /// Members came or went: their locks are free, and what they were writing is rubbish.
    fn meet(&mut self) {
        let roster = Arc::clone(&self.roster.borrow_and_update());
        self.board.meet(roster, clock());
        if self.sweeping.is_none() {
            self.sweep();
        }
    }

    fn sweep(&mut self) {
        let roster = Arc::clone(&self.roster.borrow());
        self.sweeping = Some(Arc::clone(&roster));
        let Watcher {
            sinks, used_sinks, ..
        } = &*self.watcher;
        let used = used_sinks
            .iter()
            .map(|config| sinks.sink(config, self.term.holder()));
        let used: Vec<_> = used.collect();
        self.chores.spawn(async move {
            for sink in used {
                match sink.sweep(Arc::clone(&roster)).await {
                    Ok(0) => {}
                    Ok(files) => tracing::info!(files, "removed what dead watchers left behind"),
                    Err(error) => tracing::warn!("failed to {:#}", anyhow::Error::from(error)),
                }
            }
            Chore::Swept
        });
    }

    fn zookeeper_changed(&self) {
        let condition = &self.watcher.doorman.conditions.zookeeper;
        if self.term.session().is_connected() {
            condition.met();
        } else {
            condition.unmet("the session has no connection");
        }
    }

    fn reconfigure(&mut self) {
        let config = Arc::clone(&self.watcher.updates.borrow_and_update());
        let Config { watcher, sink, .. } = &*config;
        self.board.reconfigure(watcher.sharing, watcher.help_after);
        self.tools.config = Arc::clone(&config);
        if self.config.sink != *sink {
            self.tools.sink = self.watcher.sink(sink, self.term.holder());
        }
        self.config = config;
    }

    fn measure(&self) {
        let metrics = &self.watcher.metrics;
        metrics.watchers.set(count(self.roster.borrow().members.len()));
        metrics
            .executors
            .set(count(self.term.executors.roster().members.len()));
        metrics
            .session_connected
            .set(i64::from(self.term.session().is_connected()));
    }

    /// Lets pipelines finish within `grace`, gives up the others, and leaves.
    async fn leave(mut self, grace: Duration) {
        let leaving = LEAVING_MAX.min(grace / 4).max(Duration::from_millis(500));
        let finish = async {
            tokio::select! {
                biased;
                () = finished(&mut self.pipelines) => {}
                _ = self.term.over() => {}
            }
        };
        if drain(grace.saturating_sub(leaving), finish).await.is_err() {
            tracing::info!(jobs = self.pipelines.len(), "giving up what is not finished");
        }
        self.tools.abandon.cancel();
        // What hangs now waits for ZooKeeper; the end of the session does the rest.
        let _ = drain(leaving / 2, finished(&mut self.pipelines)).await;
        self.pipelines.shutdown().await;
        self.chores.shutdown().await;
        drop(self.tools);
        let _ = drain(leaving / 2, async { self.term.leave().await.wait(leaving).await }).await;
    }
}

/// Waits until no pipeline runs.
async fn finished(pipelines: &mut JoinSet<Finished>) {
    while let Some(finished) = pipelines.join_next().await {
        unwrap(finished);
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
