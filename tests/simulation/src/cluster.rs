//! The processes of a run: which one runs where, and how they are started, stopped, killed and paused.

mod alive;
mod daemons;
mod submitting;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use distjob_core::Layout;
use distjob_runtime::shutdown::Stop;
use futures::future::BoxFuture;
use tokio::{task::AbortHandle, time::sleep};

use self::alive::Alive;
use crate::{
    history::History,
    network::{Network, Node, Process},
    plan::{OPERATOR, Plan},
    redis::Redis,
    shelf::Shelf,
    trace::Trace,
    zookeeper::Ensemble,
};

/// A process that was killed by a task is started again after this time.
const RESTART: Duration = Duration::from_millis(300);

/// Where everything stands in the ledger, as it is by default.
const ROOT: &str = "/distjob";

/// What all processes of a run share. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Cluster(Arc<Shared>);

struct Shared {
    plan: Plan,
    network: Network,
    ensemble: Ensemble,
    redis: Redis,
    shelf: Shelf,
    history: History,
    trace: Trace,
    layout: Layout,
    nodes: Mutex<BTreeMap<Node, Running>>,
}

/// What runs on a node, or ran there last.
struct Running {
    process: Process,
    stop: Stop,
    task: AbortHandle,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").finish_non_exhaustive()
    }
}

/// The stores and the disk of a run.
#[derive(Clone, Debug)]
pub struct Stores {
    /// The ledger.
    pub ensemble: Ensemble,
    /// The bulk store.
    pub redis: Redis,
    /// Where results go.
    pub shelf: Shelf,
}

impl Cluster {
    /// Nothing runs yet.
    #[must_use]
    pub fn new(plan: Plan, network: Network, stores: Stores, history: History, trace: Trace) -> Self {
        let Stores {
            ensemble,
            redis,
            shelf,
        } = stores;
        Self(Arc::new(Shared {
            plan,
            network,
            ensemble,
            redis,
            shelf,
            history,
            trace,
            layout: Layout::new(ROOT).expect("it is a path"),
            nodes: Mutex::default(),
        }))
    }

    /// Where the ledger stands: where it is by default.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.0.layout
    }

    /// The plan that it follows.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.0.plan
    }

    /// Between all processes and the stores.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.0.network
    }

    /// The ledger.
    #[must_use]
    pub fn ensemble(&self) -> &Ensemble {
        &self.0.ensemble
    }

    /// The store.
    #[must_use]
    pub fn redis(&self) -> &Redis {
        &self.0.redis
    }

    /// The disk.
    #[must_use]
    pub fn shelf(&self) -> &Shelf {
        &self.0.shelf
    }

    /// What was seen from outside.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.0.history
    }

    /// What happened.
    #[must_use]
    pub fn trace(&self) -> &Trace {
        &self.0.trace
    }

    /// Where daemons run.
    #[must_use]
    pub fn members(&self) -> Vec<Node> {
        let Plan {
            executors, watchers, ..
        } = &self.0.plan;
        executors.iter().chain(watchers).copied().collect()
    }

    /// Starts the daemon of a node, unless it runs.
    pub fn start_daemon(&self, node: Node) {
        if !self.runs(node) {
            let is_executor = self.0.plan.executors.contains(&node);
            let cluster = self.clone();
            self.start(node, move |process, stop| match is_executor {
                true => daemons::executor(&cluster, process, stop),
                false => daemons::watcher(&cluster, process, stop),
            });
        }
    }

    /// Starts a process on a node where none runs.
    fn start(&self, node: Node, work: impl FnOnce(Process, Stop) -> BoxFuture<'static, ()>) -> Process {
        let mut nodes = self.nodes();
        let life = nodes.get(&node).map_or(1, |before| before.process.life + 1);
        let process = Process { node, life };
        self.0.trace.mark(b"start");
        self.0.trace.note(|| format!("{process} starts"));
        let stop = Stop::new();
        let work = work(process, stop.clone());
        let task = tokio::spawn(Alive::new(self.0.network.clone(), process, work)).abort_handle();
        nodes.insert(node, Running { process, stop, task });
        process
    }

    /// Whether a process runs on the node.
    #[must_use]
    pub fn runs(&self, node: Node) -> bool {
        let nodes = self.nodes();
        nodes
            .get(&node)
            .is_some_and(|running| !running.task.is_finished())
    }

    /// Kills what runs on a node. Returns whether something did.
    pub fn kill(&self, node: Node) -> bool {
        let nodes = self.nodes();
        let Some(running) = nodes.get(&node) else {
            return false;
        };
        let (process, task) = (running.process, running.task.clone());
        drop(nodes);
        if task.is_finished() {
            return false;
        }
        self.0.trace.mark(b"kill");
        self.0.trace.note(|| format!("{process} is killed"));
        // The network first: what the process still does when it is dropped has no effect.
        self.0.network.kill(process);
        task.abort();
        true
    }

    /// Kills a process that a task brought down, and starts its daemon again later.
    pub fn crash(&self, process: Process) {
        let is_it = self
            .nodes()
            .get(&process.node)
            .is_some_and(|running| running.process == process);
        if is_it && self.kill(process.node) {
            let cluster = self.clone();
            tokio::spawn(async move {
                sleep(RESTART).await;
                cluster.start_daemon(process.node);
            });
        }
    }

    /// Asks what runs on a node to stop.
    pub fn stop(&self, node: Node) {
        if let Some(running) = self.nodes().get(&node) {
            let process = running.process;
            self.0.trace.note(|| format!("{process} is asked to stop"));
            running.stop.request();
        }
    }

    /// Whether what runs on a node was asked to stop.
    #[must_use]
    pub fn is_stopping(&self, node: Node) -> bool {
        let nodes = self.nodes();
        nodes
            .get(&node)
            .is_some_and(|running| running.stop.is_requested())
    }

    /// Pauses what runs on a node. Returns which process that is.
    pub fn pause(&self, node: Node) -> Option<Process> {
        let process = self.nodes().get(&node)?.process;
        self.0.trace.note(|| format!("{process} is paused"));
        self.0.network.pause(process);
        Some(process)
    }

    /// The newest process of a node.
    #[must_use]
    pub fn newest(&self, node: Node) -> Option<Process> {
        self.nodes().get(&node).map(|running| running.process)
    }

    /// Whether some submitter, or the operator, is still at work.
    #[must_use]
    pub fn is_being_used(&self) -> bool {
        let members = self.members();
        let nodes = self.nodes();
        let mut others = nodes.iter().filter(|(node, _)| !members.contains(node));
        others.any(|(_, running)| !running.task.is_finished())
    }

    fn nodes(&self) -> MutexGuard<'_, BTreeMap<Node, Running>> {
        self.0.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the operator do something, after whatever he does already.
    pub async fn operate(&self, work: impl FnOnce(Process) -> BoxFuture<'static, ()>) {
        while self.runs(OPERATOR) {
            sleep(Duration::from_millis(100)).await;
        }
        self.start(OPERATOR, |process, _| work(process));
    }
}
