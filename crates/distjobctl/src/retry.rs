//! `retry`: a new job of the failed tasks of a finished one.
//!
//! Watchers [keep](distjob_core::submission::Kept) the payloads of failed tasks in a list for as long as the tombstone of
//! their job. They are staged like any other submission, under an id that follows from
//! the finished job: whoever asks twice, or again after a death in the middle, gets one job.

use std::{
    fmt::{self, Display, Formatter},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail};
use distjob_core::{
    Conclusion, Ending, JobId, JobState, QueueName, Source, Token, Zxid, store::MetaState, submission::Kept,
};
use distjob_runtime::{exit::Status, reach::Reach, shutdown::Stop, zk::JobRead};
use serde::Serialize;
use submitter::staging::{Staging, Submitted};

use crate::{
    output::{Output, counted},
    survey,
};

/// How long staged tasks live without a sign of life of this program.
const STAGING_TTL: Duration = Duration::from_secs(3600);

/// Most payloads that are asked for at once; the store gives fewer of large ones.
const PAGE_TASKS: u64 = 4000;

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Report {
    /// The finished job.
    id: String,
    /// How many of its tasks failed.
    failed: u64,
    /// The job that runs them again; `null` when there is nothing to run.
    retry: Option<String>,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Outcome {
    /// It was submitted.
    Submitted {
        /// In which queue.
        queue: String,
    },
    /// It was submitted before, and nothing changed.
    Already,
    /// No task of the finished job failed.
    NothingFailed,
}

/// A finished job.
struct Finished {
    life: Zxid,
    ending: Ending,
}

/// Not to be dropped while it submits; the request to stop counts until then.
pub(crate) async fn run(
    reach: &Arc<Reach>,
    output: Output,
    id: &JobId,
    stop: &Stop,
) -> anyhow::Result<Status> {
    let finished = stop.unless_requested(finished(reach, id)).await;
    let finished = finished.unwrap_or_else(|| Err(interrupted()))?;
    let retry = id.retry(finished.life);
    let report = |retry: Option<JobId>, outcome| Report {
        id: id.to_string(),
        failed: finished.ending.failed,
        retry: retry.map(|retry| retry.to_string()),
        outcome,
    };
    if finished.ending.failed == 0 {
        output.report(&report(None, Outcome::NothingFailed))?;
        return Ok(Status::Success);
    }
    let outcome = submit(reach, id, &finished, retry.clone(), stop).await?;
    output.report(&report(Some(retry), outcome))?;
    Ok(Status::Success)
}

/// The job as its znode or its tombstone tells it.
async fn finished(reach: &Reach, id: &JobId) -> anyhow::Result<Finished> {
    let (life, ending) = match survey::read_fresh(reach, id).await? {
        JobRead::Job(entry) => {
            let state = entry.data.state;
            if state != JobState::Cancelled {
                bail!("job {id} is not finished, but {state}: wait for it, with distjobctl wait {id}");
            }
            (entry.life, entry.data.ending())
        }
        JobRead::Unreadable(_, error) => bail!("the znode {id} is no job: its data {error}"),
        JobRead::Gone => match survey::inspect(reach, id, &Source::Plain).await?.meta {
            Some(meta) if meta.state == MetaState::Gone => (meta.life, meta.ending()),
            Some(_) => bail!("job {id} is not in the ledger, but in redis: look with distjobctl show {id}"),
            None => bail!(
                "no such job: {id} never was, or ended longer ago than the watchers' tombstone_ttl. {}",
                by_hand(id, None)
            ),
        },
    };
    match ending {
        Some(ending) if ending.conclusion == Conclusion::Cancelled => {
            bail!("job {id} was cancelled: there is no result that says which of its tasks failed")
        }
        Some(ending) => Ok(Finished { life, ending }),
        None => bail!(
            "nobody remembers how job {id} ended: its watcher is of an earlier version. {}",
            by_hand(id, None)
        ),
    }
}

/// Stages the failed tasks and makes them the job `retry`.
async fn submit(
    reach: &Arc<Reach>,
    id: &JobId,
    finished: &Finished,
    retry: JobId,
    stop: &Stop,
) -> anyhow::Result<Outcome> {
    let prepare = async {
        let kept = kept(reach, id, finished.life).await;
        // That they are gone does not matter when they were submitted before: then their queue does not, either.
        let queue = kept
            .as_ref()
            .map_or_else(|_| QueueName::default_queue(), |kept| kept.queue.clone());
        let mut staging = Staging::begin(Arc::clone(reach), retry, queue, STAGING_TTL)?;
        staging.look_first().await?;
        let kept = if staging.is_used() { None } else { Some(kept?) };
        anyhow::Ok((staging, kept))
    };
    let prepared = stop.unless_requested(prepare).await;
    let (mut staging, kept) = prepared.unwrap_or_else(|| Err(interrupted()))?;
    let Some(kept) = kept else {
        return Ok(Outcome::Already);
    };
    let staged = stop
        .unless_requested(stage(reach, id, finished, &kept, &mut staging))
        .await
        .unwrap_or_else(|| Err(interrupted()));
    if let Err(error) = staged {
        staging.abandon().await;
        return Err(error);
    }
    Ok(match staging.commit(stop).await? {
        Submitted::Created => Outcome::Submitted {
            queue: kept.queue.to_string(),
        },
        Submitted::Before(_) => Outcome::Already,
    })
}

/// Where the failed tasks of the finished job are.
async fn kept(reach: &Reach, id: &JobId, life: Zxid) -> anyhow::Result<Kept> {
    let items = page(reach, id, &Token::of_failed(life), 0, 2).await?;
    Kept::parse(&items).ok_or_else(|| {
        anyhow!(
            "the failed tasks of job {id} are not kept, or not any more: see tombstone_ttl and keep_failed of the \
             watchers. {}",
            by_hand(id, None)
        )
    })
}

/// Copies the failed tasks, and checks that all of them were there.
async fn stage(
    reach: &Reach,
    id: &JobId,
    finished: &Finished,
    kept: &Kept,
    staging: &mut Staging,
) -> anyhow::Result<()> {
    loop {
        let tasks = page(reach, id, &kept.list, staging.count(), PAGE_TASKS).await?;
        if tasks.is_empty() {
            break;
        }
        staging.push(&tasks).await?;
    }
    let (found, failed) = (staging.count(), finished.ending.failed);
    if found == failed {
        return Ok(());
    }
    bail!(
        "redis has kept {found} of the {failed} failed tasks of job {id}. {}",
        by_hand(id, Some(&kept.queue))
    )
}

async fn page(
    reach: &Reach,
    id: &JobId,
    token: &Token,
    from: u64,
    most: u64,
) -> anyhow::Result<Vec<Vec<u8>>> {
    reach
        .redis(|| reach.store().staged(id, token, from, most))
        .await
        .with_context(|| format!("read the failed tasks of job {id}"))
}

/// How to do it without the list.
fn by_hand(id: &JobId, queue: Option<&QueueName>) -> String {
    let queue = queue.map_or("<queue>", QueueName::as_str);
    format!(
        "If its result is still there and its tasks are lines of text: jq -r 'select(.outcome == \"err\").task' \
         <sink directory>/{queue}/{id}.jsonl | submitter once --queue {queue}"
    )
}

fn interrupted() -> anyhow::Error {
    anyhow!("interrupted")
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { id, retry, .. } = self;
        let (tasks, retry) = (
            counted(self.failed, "failed task"),
            retry.as_deref().unwrap_or_default(),
        );
        match &self.outcome {
            Outcome::Submitted { queue } => writeln!(f, "job {retry}: {tasks} of {id}, in queue {queue}"),
            Outcome::Already => writeln!(
                f,
                "job {retry}: {tasks} of {id}, submitted before, nothing changed"
            ),
            Outcome::NothingFailed => writeln!(f, "no task of {id} failed, there is nothing to run again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(retry: Option<&str>, outcome: Outcome) -> Report {
        Report {
            id: "a".to_owned(),
            failed: u64::from(retry.is_some()) * 3,
            retry: retry.map(str::to_owned),
            outcome,
        }
    }

    #[test]
    fn people_see_which_job_runs_what_again() {
        let queue = "primes".to_owned();
        for (report, text) in [
            (
                report(Some("b"), Outcome::Submitted { queue }),
                "job b: 3 failed tasks of a, in queue primes\n",
            ),
            (
                report(Some("b"), Outcome::Already),
                "job b: 3 failed tasks of a, submitted before, nothing changed\n",
            ),
            (
                report(None, Outcome::NothingFailed),
                "no task of a failed, there is nothing to run again\n",
            ),
        ] {
            assert_eq!(report.to_string(), text);
        }
    }

    #[test]
    fn programs_see_one_word_for_it() {
        assert_eq!(
            serde_json::to_value(report(Some("b"), Outcome::Already)).unwrap(),
            serde_json::json!({"id": "a", "failed": 3, "retry": "b", "outcome": "already"})
        );
        assert_eq!(
            serde_json::to_value(report(None, Outcome::NothingFailed)).unwrap(),
            serde_json::json!({"id": "a", "failed": 0, "retry": null, "outcome": "nothing_failed"})
        );
    }

    #[test]
    fn the_way_by_hand_names_the_file_and_the_queue() {
        let (id, queue) = (JobId::new("a").unwrap(), QueueName::new("primes").unwrap());
        let text = by_hand(&id, Some(&queue));
        assert!(
            text.contains("<sink directory>/primes/a.jsonl | submitter once --queue primes"),
            "{text}"
        );
    }
}
