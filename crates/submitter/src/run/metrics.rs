//! What the service counts.

use distjob_runtime::metrics::Metrics;
use prometheus_client::metrics::counter::Counter;

/// Counters of what was handed in. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(crate) struct RunMetrics {
    /// Jobs that were created, and are safe.
    pub(crate) jobs: Counter,
    /// Their tasks.
    pub(crate) tasks: Counter,
    /// Attempts that failed, each of which is made again.
    pub(crate) failures: Counter,
}

impl RunMetrics {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let counter = |name, help| metrics.register(name, help, Counter::default());
        Self {
            jobs: counter("submitter_jobs", "Jobs created, and safe"),
            tasks: counter("submitter_tasks", "Tasks of the jobs that were created"),
            failures: counter(
                "submitter_failed_attempts",
                "Attempts to make a job that failed, and are made again",
            ),
        }
    }
}
