//! What the executor counts.

use distjob_core::QueueName;
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

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct QueueLabel {
    queue: String,
}

impl QueueLabel {
    /// Of this queue.
    pub(crate) fn of(queue: &QueueName) -> Self {
        Self {
            queue: queue.to_string(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueueOutcomeLabel {
    queue: String,
    outcome: &'static str,
}

/// What is counted by queue.
#[derive(Clone, Debug)]
struct ByQueue {
    tasks: Family<QueueOutcomeLabel, Counter>,
    claims: Family<QueueLabel, Counter>,
    retries: Family<QueueLabel, Counter>,
    timeouts: Family<QueueLabel, Counter>,
    running: Family<QueueLabel, Gauge>,
    waiting: Family<QueueLabel, Gauge>,
    paused: Family<QueueLabel, Gauge>,
}

/// The metrics of one queue. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(crate) struct QueueMetrics {
    ok: Counter,
    err: Counter,
    /// Leases that were granted.
    pub(crate) claims: Counter,
    /// Attempts that failed and are repeated.
    pub(crate) retries: Counter,
    /// Attempts that were ended because they took too long.
    pub(crate) timeouts: Counter,
    /// Slots that run its tasks.
    pub(crate) running: Gauge,
    /// Tasks that wait for another attempt.
    pub(crate) waiting: Gauge,
    /// 1 while it is paused.
    pub(crate) paused: Gauge,
}

impl QueueMetrics {
    /// Counts outcomes that were recorded.
    pub(crate) fn recorded(&self, ok: u64, err: u64) {
        self.ok.inc_by(ok);
        self.err.inc_by(err);
    }
}

impl ByQueue {
    fn register(metrics: &Metrics) -> Self {
        Self {
            tasks: metrics.register(
                "queue_tasks",
                "Tasks of a queue whose outcome this executor recorded",
                Family::default(),
            ),
            claims: metrics.register(
                "queue_claims",
                "Leases of a queue that were granted",
                Family::default(),
            ),
            retries: metrics.register(
                "queue_retries",
                "Attempts that failed and are repeated",
                Family::default(),
            ),
            timeouts: metrics.register(
                "queue_timeouts",
                "Attempts that were ended because they took too long",
                Family::default(),
            ),
            running: metrics.register(
                "queue_running",
                "Slots that run tasks of a queue",
                Family::default(),
            ),
            waiting: metrics.register(
                "queue_waiting",
                "Tasks of a queue that wait for another attempt",
                Family::default(),
            ),
            paused: metrics.register("queue_paused", "1 while a queue is paused", Family::default()),
        }
    }

    fn of(&self, queue: &QueueName) -> QueueMetrics {
        let label = QueueLabel::of(queue);
        let outcome = |outcome| QueueOutcomeLabel {
            queue: queue.to_string(),
            outcome,
        };
        QueueMetrics {
            ok: self.tasks.get_or_create_owned(&outcome("ok")),
            err: self.tasks.get_or_create_owned(&outcome("err")),
            claims: self.claims.get_or_create_owned(&label),
            retries: self.retries.get_or_create_owned(&label),
            timeouts: self.timeouts.get_or_create_owned(&label),
            running: self.running.get_or_create_owned(&label),
            waiting: self.waiting.get_or_create_owned(&label),
            paused: self.paused.get_or_create_owned(&label),
        }
    }
}

/// The executor's metrics. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(crate) struct ExecutorMetrics {
    tasks: Family<OutcomeLabel, Counter>,
    claims: Family<AnswerLabel, Counter>,
    by_queue: ByQueue,
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
            by_queue: ByQueue::register(metrics),
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

    /// Counts outcomes of a queue that were recorded.
    pub(crate) fn recorded(&self, queue: &QueueName, ok: u64, err: u64) {
        self.of(queue).recorded(ok, err);
        self.tasks
            .get_or_create(&OutcomeLabel { outcome: "ok" })
            .inc_by(ok);
        self.tasks
            .get_or_create(&OutcomeLabel { outcome: "err" })
            .inc_by(err);
    }

    /// What is counted of a queue.
    pub(crate) fn of(&self, queue: &QueueName) -> QueueMetrics {
        self.by_queue.of(queue)
    }

    /// Counts a claim.
    pub(crate) fn claimed(&self, answer: &'static str) {
        self.claims.get_or_create(&AnswerLabel { answer }).inc();
    }
}
