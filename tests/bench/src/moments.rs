//! When one job reached what.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::time::timeout;

use crate::jobs::{Jobs, Step};

/// The moments at which the steps of one job were heard of.
#[derive(Debug, Clone)]
pub(crate) struct Moments {
    /// Which job it was.
    pub(crate) job: String,
    /// It was created.
    pub(crate) created: Instant,
    /// All of its tasks had their outcomes.
    pub(crate) done: Instant,
    /// Its result was durable.
    pub(crate) uploaded: Instant,
    /// It was over.
    pub(crate) gone: Instant,
}

/// Follows the next job that is heard of, which is the only one, to its end. An error when that does not come within
/// `limit`.
pub(crate) async fn follow(steps: &mut Jobs, limit: Duration) -> Result<Moments> {
    let all = async {
        let mut heard = Vec::new();
        loop {
            let (job, step, at) = steps.next().await?;
            heard.push(at);
            if step == Step::Gone {
                return anyhow::Ok((job, heard));
            }
            ensure!(heard.len() < 4, "job {job} takes more steps than 4");
        }
    };
    let (job, heard) = timeout(limit, all).await.context("the job does not end")??;
    let [created, done, uploaded, gone] = heard[..] else {
        bail!("job {job} took {} steps instead of 4", heard.len());
    };
    Ok(Moments {
        job,
        created,
        done,
        uploaded,
        gone,
    })
}
