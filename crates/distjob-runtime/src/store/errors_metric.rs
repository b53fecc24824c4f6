//! The store's failures as a metric.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter},
};

use super::JobStore;

/// `distjob_redis_errors_total{kind}`: the calls that failed, by what is known of each. Hand it to
/// [`Metrics::collect`](crate::metrics::Metrics::collect).
#[derive(Debug)]
pub struct StoreErrors {
    store: JobStore,
}

impl StoreErrors {
    /// The failures of `store` and of all its clones.
    #[must_use]
    pub fn of(store: JobStore) -> Self {
        Self { store }
    }
}

impl Collector for StoreErrors {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let counts = self.store.counts();
        let help = "Calls to Redis that failed, by what is known of each";
        let mut family =
            encoder.encode_descriptor("distjob_redis_errors", help, None, MetricType::Counter)?;
        for (kind, count) in [
            ("unclear", counts.unclear()),
            ("unavailable", counts.unavailable()),
            ("rejected", counts.rejected()),
            ("reply", counts.reply()),
        ] {
            ConstCounter::new(count).encode(family.encode_family(&[("kind", kind)])?)?;
        }
        Ok(())
    }
}
