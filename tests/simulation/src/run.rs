//! One run, from its seed to its report.

mod ending;

use self::ending::{Settled, Staged};

use std::{cell::Cell, collections::BTreeMap, panic, str::FromStr, sync::Once};

use distjob_core::JobState;
use distjob_runtime::chance;
use tokio::runtime::{Builder, Runtime};

use crate::{
    cluster::{Cluster, Stores},
    history::History,
    invariants::{self, Began, Evidence, Violation},
    network::Network,
    plan::{FaultKind, Faults, Plan},
    redis::{self, Redis},
    shelf::Shelf,
    storm,
    trace::Trace,
    zookeeper::{Ensemble, EnsembleSettings, Flaw},
};

/// Which run.
#[derive(Clone, Debug)]
pub struct Order {
    /// What all of it follows from.
    pub seed: u64,
    /// Which faults strike.
    pub faults: Faults,
    /// Whether the text of what happens is kept.
    pub is_recording: bool,
    /// What is wrong with the models, on purpose.
    pub bug: Option<Bug>,
}

/// A mistake that the invariants must find: what a run is worth shows in that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// The ledger has one of its own.
    Ledger(Flaw),
    /// The store has one of its own.
    Store(redis::Bug),
}

impl FromStr for Bug {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "no-lease-check" => Ok(Self::Store(redis::Bug::NoLeaseCheck)),
            "no-reissue" => Ok(Self::Store(redis::Bug::NoReissue)),
            "never-complete" => Ok(Self::Store(redis::Bug::NeverComplete)),
            "drop-without-life" => Ok(Self::Store(redis::Bug::DropWithoutLife)),
            "cursor-stays" => Ok(Self::Store(redis::Bug::CursorStays)),
            _ => text.parse().map(Self::Ledger).map_err(|error| {
                let ledger = Flaw::ALL.map(Flaw::name).join(", ");
                format!(
                    "{error}; there are no-lease-check, no-reissue, never-complete, drop-without-life, cursor-stays, \
                     {ledger}"
                )
            }),
        }
    }
}

impl Order {
    /// The command that repeats the run, so that it can be read.
    #[must_use]
    pub fn command(&self) -> String {
        let Self { seed, faults, .. } = self;
        format!("cargo run -p distjob-simulation -- --seed {seed} --faults {faults} --trace")
    }
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// Of which one.
    pub seed: u64,
    /// What did not hold.
    pub violations: Vec<Violation>,
    /// A hash of all that happened.
    pub hash: u64,
    /// How much happened.
    pub marks: u64,
    /// How long it took, in milliseconds of virtual time.
    pub elapsed_ms: u64,
    /// How long after the last fault the last job ended, in milliseconds.
    pub recovery_ms: u64,
    /// How many faults struck, by kind.
    pub faults: BTreeMap<FaultKind, u64>,
    /// Jobs that were submitted, or tried to be.
    pub jobs: u64,
    /// Jobs that were delivered.
    pub delivered: u64,
    /// Jobs that were declared lost.
    pub lost: u64,
    /// Executions of tasks.
    pub executions: u64,
    /// Executions beyond one a task.
    pub duplicates: u64,
    /// What happened, line by line, when that was kept: the last part of it.
    pub trace: Vec<String>,
}

thread_local! {
    static PANICS: Cell<u64> = const { Cell::new(0) };
}

/// Runs one simulation, in this thread and in virtual time.
///
/// # Panics
/// When the operating system refuses a runtime.
#[must_use]
pub fn run(order: &Order) -> Report {
    count_panics();
    runtime().block_on(simulate(order))
}

fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing")
}

/// Counts panics by thread from now on: a task that panics ends quietly otherwise.
fn count_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            PANICS.set(PANICS.get() + 1);
            before(info);
        }));
    });
    PANICS.set(0);
}

/// Runs a test of its own on a cluster that follows `plan` in nothing but who takes part and how it is set: `play` starts
/// what it needs. `bug` is wrong with the models, on purpose. What does not hold after all.
///
/// # Panics
/// When the operating system refuses a runtime, and as `play` does.
pub fn stage<F: Future<Output = ()>>(
    plan: Plan,
    bug: Option<Bug>,
    play: impl FnOnce(Cluster) -> F,
) -> Vec<Violation> {
    count_panics();
    let order = Order {
        seed: plan.seed,
        faults: Faults::none(),
        is_recording: false,
        bug,
    };
    runtime().block_on(async {
        chance::seed(plan.seed);
        let began = Began::now();
        let cluster = build(&order, plan, &Trace::new(false));
        play(cluster.clone()).await;
        let settled = ending::settle(&cluster).await;
        invariants::check(&gather(&cluster, settled.unfinished, began))
    })
}

async fn simulate(order: &Order) -> Report {
    let seed = order.seed;
    chance::seed(seed);
    let began = Began::now();
    let trace = Trace::new(order.is_recording);
    let _subscriber = trace.subscribe();
    let cluster = build(order, Plan::draw(seed, &order.faults), &trace);
    for node in cluster.members() {
        cluster.start_daemon(node);
    }
    let faults = storm::rage(&cluster).await;
    let Settled {
        unfinished,
        recovery_ms,
    } = ending::settle(&cluster).await;
    let elapsed_ms = trace.elapsed_ms();
    let evidence = gather(&cluster, unfinished, began);
    let violations = invariants::check(&evidence);
    let lives = evidence.lives();
    let reached = |state: JobState| {
        let reached = |life: &&invariants::Life| life.states.iter().flatten().any(|data| data.state == state);
        lives.iter().filter(reached).count() as u64
    };
    Report {
        seed,
        hash: trace.hash(),
        marks: trace.marks(),
        elapsed_ms,
        recovery_ms,
        faults,
        jobs: evidence.attempts.len() as u64,
        delivered: reached(JobState::Uploaded),
        lost: reached(JobState::Lost),
        executions: evidence.executions.values().map(|count| u64::from(*count)).sum(),
        duplicates: evidence.duplicates(),
        violations,
        trace: trace.lines(),
    }
}

/// A cluster for one run, in the runtime of the caller, that has not begun.
fn build(order: &Order, plan: Plan, trace: &Trace) -> Cluster {
    let seed = order.seed;
    let network = Network::start(seed.wrapping_add(1), plan.delays, trace.clone());
    let settings = EnsembleSettings {
        lag: None,
        flaw: match order.bug {
            Some(Bug::Ledger(flaw)) => Some(flaw),
            _ => None,
        },
        ..EnsembleSettings::default()
    };
    let ensemble = Ensemble::start(&network, seed.wrapping_add(2), settings, trace.clone());
    let redis = Redis::new(network.clone(), seed.wrapping_add(3), trace.clone());
    redis.repeat_one_in(plan.settings.repeat_one_in);
    if let Some(Bug::Store(bug)) = order.bug {
        redis.break_with(bug);
    }
    let shelf = Shelf::new(network.clone(), trace.clone());
    let stores = Stores {
        ensemble,
        redis,
        shelf,
    };
    Cluster::new(plan, network, stores, History::default(), trace.clone())
}

fn gather(cluster: &Cluster, unfinished: Vec<String>, began: Began) -> Evidence {
    let history = cluster.history();
    let attempts = history.attempts();
    let ids = attempts.iter().map(|attempt| attempt.submission.id.clone());
    let cancelled = ids.filter(|id| history.was_cancelled(id)).collect();
    let partials = cluster.shelf().partials();
    Evidence {
        plan: cluster.plan().clone(),
        attempts,
        cancelled,
        executions: history.executions(),
        log: cluster.ensemble().history(),
        znodes: cluster.ensemble().znodes(),
        store: cluster.redis().record(),
        // A request that was late may have staged something again.
        keys: ending::leftover_keys(cluster, Staged::Expires),
        failed_lists: ending::failed_lists(cluster),
        deliveries: cluster.shelf().deliveries(),
        partials: partials
            .into_iter()
            .map(|(holder, id)| format!("{id} of {holder}"))
            .collect(),
        unfinished,
        panics: PANICS.get(),
        began,
        layout: cluster.layout().clone(),
    }
}
