//! How far the jobs are that somebody waits for.

use std::{
    convert::Infallible,
    io::{IsTerminal as _, stderr},
    time::Duration,
};

use distjob_core::JobState;
use distjob_runtime::reach::Reach;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::sleep;

use super::Seen;
use crate::survey;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Questions that are under way at once.
const AT_ONCE: usize = 64;

/// Shows a bar for as long as it is polled, when somebody can see it.
pub(super) async fn show(reach: &Reach, seen: &Seen) -> Infallible {
    if !stderr().is_terminal() {
        return std::future::pending().await;
    }
    let bar = Bar(ProgressBar::hidden());
    loop {
        if let Some((total, done)) = look(reach, seen).await {
            let template = if done == 0 { TEMPLATE_IDLE } else { TEMPLATE };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.0.set_style(style);
            }
            bar.0.set_length(total);
            bar.0.set_position(done);
            if bar.0.is_hidden() {
                bar.0.set_draw_target(ProgressDrawTarget::stderr());
            }
        }
        sleep(LOOK_EVERY).await;
    }
}

/// How many tasks the jobs have that were seen, and how many of them are done. `None` before any was seen, and when
/// redis does not tell: who waits needs ZooKeeper only.
async fn look(reach: &Reach, seen: &Seen) -> Option<(u64, u64)> {
    let jobs: Vec<_> = seen
        .borrow()
        .iter()
        .map(|(id, job)| (id.clone(), job.clone()))
        .collect();
    let total = jobs.iter().map(|(_, (entry, _))| entry.data.count).sum();
    let done = stream::iter(jobs)
        .map(|(id, (entry, is_over))| async move {
            if is_over || entry.data.state == JobState::Uploaded {
                return Ok(entry.data.count);
            }
            let progress = survey::progress(reach, &id, &entry).await;
            progress.map(|progress| progress.committed)
        })
        .buffer_unordered(AT_ONCE)
        .try_fold(0, async |sum, done| Ok(sum + done))
        .await;
    done.ok().filter(|_| total > 0).map(|done| (total, done))
}

const TEMPLATE: &str = "{bar:30} {human_pos}/{human_len} tasks {per_sec}, {eta} left";

/// Before there is anything to reckon with.
const TEMPLATE_IDLE: &str = "{bar:30} {human_pos}/{human_len} tasks";

/// Takes itself away.
struct Bar(ProgressBar);

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_one() {
        for template in [TEMPLATE, TEMPLATE_IDLE] {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
    }
}
