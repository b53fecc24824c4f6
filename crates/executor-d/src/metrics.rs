//! What the executor counts.

use distjob_runtime::metrics::Metrics;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AnswerLabel {
    answer: &'static str,
}

/// The executor's metrics. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(crate) struct ExecutorMetrics {
    tasks: Family<OutcomeLabel, Counter>,
    claims: Family<AnswerLabel, Counter>,
    /// Commits that the store refused.
    pub(crate) commits_refused: Counter,
    /// Ranges of dead executors that this one freed.
    pub(crate) ranges_reclaimed: Counter,
    /// Jobs that this executor asked a watcher to look at.
    pub(crate) jobs_processed: Counter,
    /// Tasks that were given up because executors died of them.
    pub(crate) tasks_given_up: Counter,
    /// Submitted jobs of the served queues.
    pub(crate) jobs_submitted: Gauge,
    /// Those in this executor's share.
    pub(crate) jobs_share: Gauge,
    /// Leases in hand.
    pub(crate) leases: Gauge,
    /// Leases that run right now.
    pub(crate) slots_busy: Gauge,
    /// Live executors.
    pub(crate) executors: Gauge,
    /// Live watchers.
    pub(crate) watchers: Gauge,
    /// 1 while the ZooKeeper session has a connection.
    pub(crate) session_connected: Gauge,
    /// Terms begun: one for each ZooKeeper session.
    pub(crate) terms: Counter,
}

impl ExecutorMetrics {
    /// Registers all of them.
    #[must_use]
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let counter = |name, help| metrics.register(name, help, Counter::default());
        let gauge = |name, help| metrics.register(name, help, Gauge::default());
        Self {
            tasks: metrics.register(
                "tasks",
                "Tasks whose outcome this executor recorded",
                Family::default(),
            ),
            claims: metrics.register("claims", "Claims by what the store answered", Family::default()),
            commits_refused: counter("commits_refused", "Commits that the store refused"),
            ranges_reclaimed: counter("ranges_reclaimed", "Ranges of dead executors that this one freed"),
            jobs_processed: counter("jobs_processed", "Jobs that this executor marked as processed"),
            tasks_given_up: counter("tasks_given_up", "Tasks given up because executors died of them"),
            jobs_submitted: gauge("jobs_submitted", "Submitted jobs of the served queues"),
            jobs_share: gauge("jobs_share", "Submitted jobs in this executor's share"),
            leases: gauge("leases", "Leases in hand"),
            slots_busy: gauge("slots_busy", "Slots that run tasks"),
            executors: gauge("executors", "Live executors"),
            watchers: gauge("watchers", "Live watchers"),
            session_connected: gauge(
                "zookeeper_connected",
                "1 while the ZooKeeper session has a connection",
            ),
            terms: counter(
                "terms",
                "ZooKeeper sessions in which this executor was registered",
            ),
        }
    }

    /// Counts outcomes that were recorded.
    pub(crate) fn recorded(&self, ok: u64, err: u64) {
        self.tasks
            .get_or_create(&OutcomeLabel { outcome: "ok" })
            .inc_by(ok);
        self.tasks
            .get_or_create(&OutcomeLabel { outcome: "err" })
            .inc_by(err);
    }

    /// Counts a claim.
    pub(crate) fn claimed(&self, answer: &'static str) {
        self.claims.get_or_create(&AnswerLabel { answer }).inc();
    }
}
