//! What the watcher counts.

use std::time::Duration;

use distjob_core::{Conclusion, JobState, QueueName, id::SinkName};
use distjob_runtime::metrics::Metrics;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
};

use crate::spool::Tally;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SinkLabel {
    sink: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConclusionLabels {
    queue: String,
    conclusion: &'static str,
}

/// The watcher's metrics. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(crate) struct WatcherMetrics {
    jobs: Family<StateLabel, Gauge>,
    tasks: Family<OutcomeLabel, Counter>,
    jobs_delivered: Counter,
    jobs_concluded: Family<ConclusionLabels, Counter>,
    bytes_written: Counter,
    sink_deliveries: Family<SinkLabel, Counter>,
    sink_failures: Family<SinkLabel, Counter>,
    sink_seconds: Family<SinkLabel, Histogram>,
    delivery_seconds: Histogram,
    /// Cancelled jobs that this watcher cleaned up.
    pub jobs_cancelled: Counter,
    /// Jobs that this watcher declared lost.
    pub jobs_lost: Counter,
    /// Jobs that this watcher gave back to the executors.
    pub jobs_returned: Counter,
    /// Jobs that this watcher created because they follow others.
    pub follow_ups: Counter,
    /// Jobs that nothing follows because they follow too many themselves.
    pub follow_ups_refused: Counter,
    /// Failed attempts to put a result together.
    pub spool_failures: Counter,
    /// Results that wait in the spool for their sinks.
    pub spool_results: Gauge,
    /// Bytes of those.
    pub spool_bytes: Gauge,
    /// Locks held.
    pub locks: Gauge,
    /// Jobs in this watcher's share.
    pub jobs_share: Gauge,
    /// Live executors.
    pub executors: Gauge,
    /// Live watchers.
    pub watchers: Gauge,
    /// 1 while the ZooKeeper session has a connection.
    pub session_connected: Gauge,
    /// Terms begun: one for each ZooKeeper session.
    pub terms: Counter,
}

impl WatcherMetrics {
    /// Registers all of them.
    #[must_use]
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let counter = |name, help| metrics.register(name, help, Counter::default());
        let gauge = |name, help| metrics.register(name, help, Gauge::default());
        Self {
            jobs: metrics.register("jobs", "Jobs in the ledger by state", Family::default()),
            tasks: metrics.register("tasks_delivered", "Tasks delivered by outcome", Family::default()),
            jobs_delivered: counter("jobs_delivered", "Jobs delivered"),
            jobs_concluded: metrics.register(
                "jobs_concluded",
                "Jobs delivered by queue and by what they came to",
                Family::default(),
            ),
            bytes_written: counter("sink_bytes", "Bytes of delivered results, counted once a result"),
            sink_deliveries: metrics.register(
                "sink_deliveries",
                "Results that a sink took, by sink",
                Family::default(),
            ),
            sink_failures: metrics.register(
                "sink_failures",
                "Failed attempts to bring a result to a sink, by sink",
                Family::default(),
            ),
            sink_seconds: metrics.register(
                "sink_seconds",
                "Time that an attempt to bring a result to a sink took, by sink",
                Family::new_with_constructor(seconds),
            ),
            delivery_seconds: metrics.register(
                "delivery_seconds",
                "Time from the lock on a processed job to its deletion",
                seconds(),
            ),
            jobs_cancelled: counter("jobs_cancelled", "Cancelled jobs that were cleaned up"),
            jobs_lost: counter("jobs_lost", "Jobs declared lost"),
            jobs_returned: counter("jobs_returned", "Jobs given back to the executors, unfinished"),
            follow_ups: counter("follow_ups", "Jobs created because they follow others"),
            follow_ups_refused: counter(
                "follow_ups_refused",
                "Jobs that nothing follows because they follow as many as may be",
            ),
            spool_failures: counter("spool_failures", "Failed attempts to put a result together"),
            spool_results: gauge("spool_results", "Results that wait in the spool for their sinks"),
            spool_bytes: gauge("spool_bytes", "Bytes of the results that wait in the spool"),
            locks: gauge("locks", "Locks held"),
            jobs_share: gauge("jobs_share", "Jobs for watchers in this watcher's share"),
            executors: gauge("executors", "Live executors"),
            watchers: gauge("watchers", "Live watchers"),
            session_connected: gauge(
                "zookeeper_connected",
                "1 while the ZooKeeper session has a connection",
            ),
            terms: counter("terms", "ZooKeeper sessions in which this watcher was registered"),
        }
    }

    /// Takes over how many jobs are in a state.
    pub(crate) fn jobs_in(&self, state: JobState, count: i64) {
        self.jobs
            .get_or_create(&StateLabel {
                state: state.as_str(),
            })
            .set(count);
    }

    /// Counts what a delivered job came to.
    pub(crate) fn concluded(&self, queue: &QueueName, conclusion: Conclusion) {
        self.jobs_concluded
            .get_or_create(&ConclusionLabels {
                queue: queue.to_string(),
                conclusion: conclusion.as_str(),
            })
            .inc();
    }

    /// Counts an attempt to bring a result to a sink.
    pub(crate) fn sink_tried(&self, sink: &SinkName, succeeded: bool, took: Duration) {
        let label = SinkLabel {
            sink: sink.to_string(),
        };
        let counter = match succeeded {
            true => &self.sink_deliveries,
            false => &self.sink_failures,
        };
        counter.get_or_create(&label).inc();
        self.sink_seconds
            .get_or_create(&label)
            .observe(took.as_secs_f64());
    }

    /// Counts a delivered job.
    pub(crate) fn delivered(&self, tally: Tally, took: Duration) {
        self.tasks
            .get_or_create(&OutcomeLabel { outcome: "ok" })
            .inc_by(tally.ok);
        self.tasks
            .get_or_create(&OutcomeLabel { outcome: "err" })
            .inc_by(tally.err);
        self.jobs_delivered.inc();
        self.bytes_written.inc_by(tally.bytes);
        self.delivery_seconds.observe(took.as_secs_f64());
    }
}

fn seconds() -> Histogram {
    Histogram::new([
        0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
    ])
}
