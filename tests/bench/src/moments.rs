//! When one job reached what.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::time::timeout;

use crate::jobs::{Jobs, Step};

/// The moments at which the steps of one job were heard of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moments {
    /// It was created.
    pub(crate) created: Instant,
    /// All of its tasks had their outcomes.
    pub(crate) done: Instant,
    /// Its result was durable.
    pub(crate) uploaded: Instant,
    /// It was over.
    pub(crate) gone: Instant,
}

/// Follows a job whose creation is yet to be heard of to its end. An error when that does not come within `limit`. Steps of
/// other jobs are passed over.
pub(crate) async fn follow(steps: &mut Jobs, job: &str, limit: Duration) -> Result<Moments> {
    let all = async {
        let mut heard = Vec::new();
        loop {
            let (id, step, at) = steps.next().await?;
            if id != job {
                continue;
            }
            heard.push(at);
            if step == Step::Gone {
                return anyhow::Ok(heard);
            }
        }
    };
    let heard = timeout(limit, all).await;
    match heard.with_context(|| format!("job {job} does not end"))??[..] {
        [created, done, uploaded, gone] => Ok(Moments {
            created,
            done,
            uploaded,
            gone,
        }),
        ref heard => anyhow::bail!("job {job} took {} steps instead of 4", heard.len()),
    }
}
