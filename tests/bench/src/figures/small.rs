//! Jobs of one task: how long one takes, how many a second, and what each costs.

mod flight;
mod latency;
mod rate;

use anyhow::Result;

use crate::{bench::Bench, report::Report};

/// The queue that executors serve without any configuration.
const QUEUE: &str = "primes";

/// Measures.
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    latency::measure(bench, report).await?;
    rate::measure(bench, report).await?;
    flight::measure(bench, report).await
}
