//! When a daemon has done all that it had to.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use harness::Process;
use rustix::param::page_size;
use tokio::time::sleep;

use crate::{stage::LIMIT, usage};

/// Between two looks at a gauge.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Who uses no more than [`IDLE`] in such a time has nothing to do.
const WINDOW: Duration = Duration::from_millis(500);

const IDLE: Duration = Duration::from_millis(10);

/// Waits until a daemon has nothing to do, and returns since when.
pub(super) async fn quiet(daemon: &Process) -> Result<Instant> {
    let begun = Instant::now();
    let mut since = (begun, processor_time(daemon.pid())?);
    while since.0.elapsed() < WINDOW {
        ensure!(begun.elapsed() < LIMIT, "{} does not come to rest", daemon.name());
        sleep(LOOK_EVERY).await;
        let used = processor_time(daemon.pid())?;
        if used > since.1 + IDLE {
            since = (Instant::now(), used);
        }
    }
    Ok(since.0)
}

/// Waits until a gauge of a daemon has a value, and returns when it had.
pub(super) async fn reaches(daemon: &Process, name: &str, value: f64, limit: Duration) -> Result<Instant> {
    let begun = Instant::now();
    loop {
        let now = gauge(daemon, name).await?;
        if (now - value).abs() < 0.5 {
            return Ok(Instant::now());
        }
        ensure!(
            begun.elapsed() < limit,
            "{}: {name} is {now} and not {value}",
            daemon.name()
        );
        sleep(LOOK_EVERY).await;
    }
}

/// The value of a gauge; 0 while the daemon has not named it.
pub(super) async fn gauge(daemon: &Process, name: &str) -> Result<f64> {
    let answer = daemon.admin_get("/metrics").await?;
    let value = answer
        .body
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.map_or(Ok(0.0), |value| value.parse().context("read a gauge"))
}

/// How much time of processors a process has had, to a tick of 10 ms.
pub(super) fn processor_time(pid: u32) -> Result<Duration> {
    usage::processor_time(&pid.to_string(), [14, 15])
}

/// The resident memory of a process, in bytes.
pub(super) fn resident(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/statm");
    let statm = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let pages: f64 = statm
        .split(' ')
        .nth(1)
        .context("a short statm")?
        .parse()
        .context("read a size")?;
    Ok(pages * page_size() as f64)
}
