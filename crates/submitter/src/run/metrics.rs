//! What the service counts.

use distjob_runtime::metrics::Metrics;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};

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

/// Counters of files. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(crate) struct SpoolMetrics {
    files: Family<FileLabels, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FileLabels {
    outcome: &'static str,
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileOutcome {
    /// Its tasks are safe.
    Submitted,
    /// It is in `rejected`.
    Rejected,
}

impl SpoolMetrics {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        Self {
            files: metrics.register(
                "submitter_files",
                "Files of the spool directory, by what became of them",
                Family::default(),
            ),
        }
    }

    pub(crate) fn ended(&self, outcome: FileOutcome) {
        let outcome = match outcome {
            FileOutcome::Submitted => "submitted",
            FileOutcome::Rejected => "rejected",
        };
        self.files.get_or_create(&FileLabels { outcome }).inc();
    }
}
