//! The metrics of a process, in the text format of OpenMetrics, which Prometheus reads.
//!
//! Labels are for things of which there are few, such as queues, states and outcomes; never for jobs.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::{Metric, Registry};

/// What a scraper is told the text is.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Every metric of distjob's begins with it.
const PREFIX: &str = "distjob_";

/// The metrics of a process. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<RwLock<Registry>>);

impl Metrics {
    /// The metrics of the program of that name: at first only what every process has.
    #[must_use]
    pub fn for_program(name: &'static str, version: &'static str) -> Self {
        let metrics = Self::default();
        let build: Family<Vec<(&str, &str)>, Gauge> =
            metrics.register("build_info", "The program and its version", Family::default());
        build
            .get_or_create(&vec![("program", name), ("version", version)])
            .set(1);
        metrics.collect(ProcessCollector);
        metrics
    }

    /// Registers `metric` as `distjob_<name>` and gives it back, to be updated. `help` is a sentence without its
    /// full stop. A counter gets `_total` behind its name by itself.
    pub fn register<M: Metric + Clone>(&self, name: &str, help: &str, metric: M) -> M {
        let mut registry = self.0.write().unwrap_or_else(PoisonError::into_inner);
        registry.register(format!("{PREFIX}{name}"), help, metric.clone());
        metric
    }

    /// Registers something that is asked for its values at every scrape. It must answer without waiting.
    pub fn collect(&self, collector: impl Collector) {
        let mut registry = self.0.write().unwrap_or_else(PoisonError::into_inner);
        registry.register_collector(Box::new(collector));
    }

    /// All metrics as text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let registry = self.0.read().unwrap_or_else(PoisonError::into_inner);
        // Writing to a string fails only when a metric cannot say its own value; the rest is then still right.
        let _ = prometheus_client::encoding::text::encode(&mut text, &registry);
        text
    }
}

/// What the kernel knows about this process, under the names that every exporter uses.
#[derive(Debug)]
struct ProcessCollector;

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let gauges = [
            (
                "process_resident_memory_bytes",
                "Resident memory",
                resident_bytes(),
            ),
            ("process_open_fds", "Open file descriptors", open_files()),
        ];
        for (name, help, value) in gauges {
            if let Some(value) = value {
                let gauge = ConstGauge::new(value);
                let metric = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
                gauge.encode(metric)?;
            }
        }
        Ok(())
    }
}

fn resident_bytes() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

fn open_files() -> Option<i64> {
    i64::try_from(std::fs::read_dir("/proc/self/fd").ok()?.count()).ok()
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::*;

    #[test]
    fn registered_metrics_are_written_with_the_values_that_they_have_then() {
        let metrics = Metrics::for_program("toy-d", "1.2.3");
        let claims = metrics.register("claims", "Ranges claimed", Counter::<u64>::default());
        claims.inc_by(3);
        let text = metrics.to_text();
        for line in [
            "distjob_build_info{program=\"toy-d\",version=\"1.2.3\"} 1",
            "# HELP distjob_claims Ranges claimed.",
            "distjob_claims_total 3",
            "# TYPE process_open_fds gauge",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
        let resident = text
            .lines()
            .find(|line| line.starts_with("process_resident_memory_bytes "));
        let bytes: u64 = resident.unwrap().rsplit(' ').next().unwrap().parse().unwrap();
        assert!(bytes > 100_000, "{bytes}");
    }
}
