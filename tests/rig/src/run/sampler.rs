//! What is looked at each second: the figures for the plot, and delivered files as they appear.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::{MissedTickBehavior, interval};

use super::Stage;
use crate::expect::Flavour;
use crate::history::{Event, Sample};

const EVERY: Duration = Duration::from_secs(1);

/// Records a sample each second. Never returns by itself; dropping it is fine.
///
/// # Errors
/// When the rig's own files cannot be read.
pub(super) async fn sample(stage: &Stage) -> Result<Infallible> {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut delivered = BTreeSet::new();
    let mut delivered_tasks = 0;
    let mut executions = Executions::default();
    loop {
        ticks.tick().await;
        for id in stage.delivered()? {
            // What follows others has as many tasks as these have outcomes: only the checker knows how many.
            if delivered.insert(id.clone()) && Flavour::of(&id).is_some() {
                delivered_tasks += stage.workload.count_of(&id).unwrap_or(0);
                let lines = stage.lines(&id)?;
                stage.recorder.record(Event::Appeared { id, lines });
            }
        }
        let executed = executions.count(&stage.cluster.settings().executions())?;
        // With ZooKeeper away nobody knows.
        let jobs = stage.stores.jobs().await.unwrap_or_default();
        let mut by_state = BTreeMap::new();
        for job in jobs.into_values() {
            *by_state.entry(job.state).or_default() += 1;
        }
        stage.recorder.record(Event::Sampled(Sample {
            executed,
            delivered_tasks,
            delivered_jobs: delivered.len() as u64,
            jobs: by_state,
        }));
    }
}

/// The lines of files that grow, counted as they come.
#[derive(Debug, Default)]
struct Executions {
    seen: BTreeMap<PathBuf, u64>,
    lines: u64,
}

impl Executions {
    fn count(&mut self, directory: &Path) -> Result<u64> {
        for entry in fs::read_dir(directory).with_context(|| format!("list {}", directory.display()))? {
            let path = entry?.path();
            let told = || format!("read {}", path.display());
            let mut file = File::open(&path).with_context(told)?;
            let from = self.seen.entry(path.clone()).or_default();
            file.seek(SeekFrom::Start(*from)).with_context(told)?;
            let mut grown = Vec::new();
            file.read_to_end(&mut grown).with_context(told)?;
            *from += grown.len() as u64;
            self.lines += grown.iter().filter(|byte| **byte == b'\n').count() as u64;
        }
        Ok(self.lines)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn lines_are_counted_as_files_grow() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = File::create(dir.path().join("executor-1")).unwrap();
        let mut executions = Executions::default();
        first.write_all(b"a\nb\n").unwrap();
        assert_eq!(executions.count(dir.path()).unwrap(), 2);
        first.write_all(b"c\n").unwrap();
        fs::write(dir.path().join("executor-2"), "d\n").unwrap();
        assert_eq!(executions.count(dir.path()).unwrap(), 4);
        assert_eq!(executions.count(dir.path()).unwrap(), 4);
    }
}
