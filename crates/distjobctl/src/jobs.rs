//! `jobs`: the list of jobs.

use std::fmt::{self, Display, Formatter};

use distjob_core::{Conclusion, JobEntry, JobId, JobState, QueueName};
use distjob_runtime::{exit::Status, reach::Reach};
use serde::Serialize;

use crate::{
    cli::State,
    output::{Output, since, span, table},
    status::show_unreadable,
    survey::{Progress, Survey, Unreadable},
};

#[derive(Debug, Serialize)]
struct Report {
    /// Oldest first.
    jobs: Vec<Job>,
    /// Znodes among the jobs that are none.
    unreadable: Vec<Unreadable>,
}

/// A job as a line of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Job {
    pub(crate) id: String,
    pub(crate) state: &'static str,
    pub(crate) queue: String,
    /// How many tasks it has.
    pub(crate) tasks: u64,
    /// How many of them have an outcome; `null` when the store does not tell.
    pub(crate) committed: Option<u64>,
    /// How many of these are errors.
    pub(crate) failed: Option<u64>,
    /// What it came to: `succeeded`, `partly-failed` or `failed`, once it is uploaded.
    pub(crate) conclusion: Option<&'static str>,
    /// Until when its tasks may run, in milliseconds since 1970.
    pub(crate) deadline_ms: Option<u64>,
    /// The group that it is a member of.
    pub(crate) group: Option<String>,
    /// The job that it follows.
    pub(crate) parent: Option<String>,
    /// Sinks that need not have its result.
    pub(crate) skip: Vec<String>,
    /// Why it is lost.
    pub(crate) why: Option<String>,
    /// Creation zxid of its znode.
    pub(crate) life: String,
    /// When it was created, in milliseconds since 1970.
    pub(crate) created_ms: i64,
}

impl Job {
    pub(crate) fn new(id: &JobId, entry: &JobEntry, progress: Option<Progress>) -> Self {
        Self {
            id: id.to_string(),
            state: entry.data.state.as_str(),
            queue: entry.data.queue.to_string(),
            tasks: entry.data.count,
            committed: progress.map(|progress| progress.committed),
            failed: entry.data.failed.or(progress.map(|progress| progress.failed)),
            conclusion: entry.data.conclusion.map(Conclusion::as_str),
            deadline_ms: entry.data.deadline_ms,
            group: entry.data.ties.group.as_ref().map(ToString::to_string),
            parent: entry.data.ties.parent.as_ref().map(ToString::to_string),
            skip: entry.data.ties.skip.iter().map(ToString::to_string).collect(),
            why: entry.data.why.clone(),
            life: entry.life.to_string(),
            created_ms: entry.created_ms,
        }
    }

    /// How long ago it was created.
    pub(crate) fn age(&self) -> String {
        span(since(u64::try_from(self.created_ms).unwrap_or_default()))
    }

    fn row(&self) -> [String; 6] {
        let done = match (self.committed, self.failed) {
            (Some(committed), Some(0)) => committed.to_string(),
            (Some(committed), Some(failed)) => format!("{committed} ({failed} failed)"),
            _ => "-".to_owned(),
        };
        let state = match &self.why {
            None => self.state.to_owned(),
            Some(why) => format!("{}: {why}", self.state),
        };
        [
            self.id.clone(),
            self.queue.clone(),
            self.tasks.to_string(),
            done,
            self.age(),
            state,
        ]
    }
}

pub(crate) async fn run(
    reach: &Reach,
    output: Output,
    state: Option<State>,
    queue: Option<QueueName>,
) -> anyhow::Result<Status> {
    let state: Option<JobState> = state.map(Into::into);
    let mut survey = Survey::read(reach).await?;
    survey.jobs.retain(|_, entry| {
        state.is_none_or(|state| entry.data.state == state)
            && queue.as_ref().is_none_or(|queue| entry.data.queue == *queue)
    });
    let progress = survey.progress(reach).await?;
    let mut jobs: Vec<_> = survey.jobs.iter().collect();
    jobs.sort_by_key(|(_, entry)| entry.life);
    let jobs = jobs
        .into_iter()
        .map(|(id, entry)| Job::new(id, entry, progress.get(id).copied()))
        .collect();
    output.report(&Report {
        jobs,
        unreadable: survey.unreadable,
    })?;
    Ok(Status::Success)
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let rows: Vec<_> = self.jobs.iter().map(Job::row).collect();
        if rows.is_empty() {
            writeln!(f, "no jobs")?;
        }
        f.write_str(&table(["ID", "QUEUE", "TASKS", "DONE", "AGE", "STATE"], &rows))?;
        show_unreadable(f, &self.unreadable)
    }
}

#[cfg(test)]
mod tests {
    use distjob_core::{JobData, Zxid};

    use super::*;

    fn job(id: &str, data: &str, progress: Option<Progress>) -> Job {
        let entry = JobEntry {
            data: JobData::parse(data.as_bytes()).unwrap(),
            life: Zxid::new(0x1f),
            version: 0,
            created_ms: i64::MAX,
        };
        Job::new(&JobId::new(id).unwrap(), &entry, progress)
    }

    #[test]
    fn people_see_a_table() {
        let done = |committed, failed| Some(Progress { committed, failed });
        let report = Report {
            jobs: vec![
                job("a", "subm=5000;queue=primes", done(17, 0)),
                job("bb", "prcd=3", done(3, 1)),
                job("c", "lost=7;why=a hole at 3", None),
            ],
            unreadable: Vec::new(),
        };
        let expected = "\
ID  QUEUE    TASKS  DONE          AGE  STATE
a   primes   5000   17            0s   subm
bb  default  3      3 (1 failed)  0s   prcd
c   default  7      -             0s   lost: a hole at 3
";
        assert_eq!(report.to_string(), expected);
    }

    #[test]
    fn programs_see_every_field() {
        let json = serde_json::to_value(job("a", "subm=5;queue=primes", None)).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "id": "a", "state": "subm", "queue": "primes", "tasks": 5, "committed": null, "failed": null,
                "conclusion": null, "deadline_ms": null, "group": null, "parent": null, "skip": [], "why": null,
                "life": "000000000000001f", "created_ms": i64::MAX
            })
        );
    }
}
