//! `queues`, `pause` and `resume`: what there is of each kind of work, and its switches.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Display, Formatter},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use distjob_core::{JobId, JobState, QueueName, Role, Roster, Switchboard};
use distjob_runtime::{
    exit::Status,
    reach::Reach,
    zk::{QueuesView, Switched, ZkError},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;

use crate::{
    output::{Output, counted, table},
    survey::{self, Progress, Survey},
};

/// Changes that are under way at once.
const AT_ONCE: usize = 64;

/// A queue, with all that has to do with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Queue {
    pub(crate) name: String,
    /// Whether nothing of it is claimed.
    pub(crate) paused: bool,
    /// Executors that serve it.
    pub(crate) executors: u64,
    /// How many tasks of it they run at once, together, at most.
    pub(crate) slots: u64,
    /// How many of its jobs are in each state that one is in.
    pub(crate) jobs: BTreeMap<&'static str, u64>,
    /// Tasks of jobs in state `subm`.
    pub(crate) tasks: u64,
    /// Those of them that have no outcome yet; `null` when the store does not tell.
    pub(crate) waiting: Option<u64>,
}

impl Queue {
    fn row(&self) -> [String; 6] {
        let state = match (self.paused, self.executors) {
            (true, _) => "paused",
            (false, 0) => "not served",
            (false, _) => "",
        };
        let jobs: u64 = self.jobs.values().sum();
        let waiting = self
            .waiting
            .map_or_else(|| "-".to_owned(), |waiting| waiting.to_string());
        [
            self.name.clone(),
            jobs.to_string(),
            waiting,
            self.executors.to_string(),
            self.slots.to_string(),
            state.to_owned(),
        ]
    }
}

/// Queues as a table for people.
pub(crate) fn show_queues(queues: &[Queue]) -> String {
    let rows: Vec<_> = queues.iter().map(Queue::row).collect();
    table(
        ["QUEUE", "JOBS", "WAITING TASKS", "EXECUTORS", "SLOTS", "STATE"],
        &rows,
    )
}

/// Every queue that is served, has jobs, or has switches, by name.
pub(crate) fn gather(
    survey: &Survey,
    progress: Option<&BTreeMap<JobId, Progress>>,
    executors: &Roster,
    switches: &Switchboard,
) -> Vec<Queue> {
    let served = executors.members.values().flatten().flat_map(|info| &info.queues);
    let named = survey.jobs.values().map(|entry| &entry.data.queue);
    let switched = switches.iter().map(|(name, _)| name);
    let names: BTreeSet<_> = served.chain(named).chain(switched).collect();
    names
        .into_iter()
        .map(|name| {
            let of_it = || survey.jobs.iter().filter(|(_, entry)| entry.data.queue == *name);
            let open = || of_it().filter(|(_, entry)| entry.data.state == JobState::Submitted);
            let mut jobs = BTreeMap::new();
            for (_, entry) in of_it() {
                *jobs.entry(entry.data.state.as_str()).or_default() += 1;
            }
            let left = |progress: &BTreeMap<JobId, Progress>| {
                open()
                    .map(|(id, entry)| {
                        let committed = progress.get(id).map_or(0, |progress| progress.committed);
                        entry.data.count.saturating_sub(committed)
                    })
                    .sum()
            };
            Queue {
                name: name.to_string(),
                paused: switches.is_paused(name),
                executors: executors.serving(name).count() as u64,
                slots: executors.slots_for(name),
                jobs,
                tasks: open().map(|(_, entry)| entry.data.count).sum(),
                waiting: progress.map(left),
            }
        })
        .collect()
}

/// All switches, as they are now.
pub(crate) async fn switchboard(reach: &Reach) -> anyhow::Result<Arc<Switchboard>> {
    reach
        .zookeeper(|ledger| async move {
            let view = QueuesView::follow(ledger.session().clone(), Duration::from_secs(3600));
            let mut boards = view.subscribe();
            let first = boards.wait_for(|board| board.is_known()).await;
            first
                .map(|board| Arc::clone(&board))
                .map_err(|_| ZkError::SessionOver)
        })
        .await
        .context("read the switches of the queues")
}

#[derive(Debug, Serialize)]
struct Report {
    /// By name.
    queues: Vec<Queue>,
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.queues.as_slice() {
            [] => writeln!(f, "no queues: nobody serves one, and there are no jobs"),
            queues => f.write_str(&show_queues(queues)),
        }
    }
}

pub(crate) async fn run(reach: &Reach, output: Output) -> anyhow::Result<Status> {
    let mut survey = Survey::read(reach).await?;
    let executors = survey::roster(reach, Role::Executor).await?;
    let switches = switchboard(reach).await?;
    let all = survey.jobs.clone();
    // The store is asked only about what is counted.
    survey
        .jobs
        .retain(|_, entry| entry.data.state == JobState::Submitted);
    let progress = survey.progress(reach).await?;
    survey.jobs = all;
    output.report(&Report {
        queues: gather(&survey, Some(&progress), &executors, &switches),
    })?;
    Ok(Status::Success)
}

/// What an operator does to a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Switch {
    /// Executors begin no task of it.
    Pause,
    /// They do again.
    Resume,
}

#[derive(Debug, Serialize)]
struct Changes {
    /// In the order in which they were named.
    queues: Vec<Changed>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Changed {
    name: String,
    /// Whether it is paused now.
    paused: bool,
    /// `done`, or `already`: it was so before.
    outcome: &'static str,
    /// Why the data that stood there before had no effect; they are gone now.
    replaced: Option<String>,
    /// Executors that serve it at present.
    executors: u64,
}

pub(crate) async fn switch(
    reach: &Reach,
    output: Output,
    queues: Vec<QueueName>,
    switch: Switch,
) -> anyhow::Result<Status> {
    let executors = survey::roster(reach, Role::Executor).await?;
    let queues = stream::iter(queues)
        .map(|queue| {
            let executors = Arc::clone(&executors);
            async move { change(reach, &executors, &queue, switch).await }
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    output.report(&Changes { queues })?;
    Ok(Status::Success)
}

async fn change(
    reach: &Reach,
    executors: &Roster,
    queue: &QueueName,
    switch: Switch,
) -> anyhow::Result<Changed> {
    let paused = switch == Switch::Pause;
    let switched = reach
        .zookeeper(|ledger| async move {
            let session = ledger.session();
            session.switch(queue, |switches| switches.paused = paused).await
        })
        .await
        .with_context(|| format!("change the switches of queue {queue}"))?;
    let (outcome, replaced) = match switched {
        Switched::Done { replaced } => ("done", replaced),
        Switched::Already => ("already", None),
    };
    Ok(Changed {
        name: queue.to_string(),
        paused,
        outcome,
        replaced,
        executors: executors.serving(queue).count() as u64,
    })
}

impl Display for Changes {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let rows: Vec<_> = self
            .queues
            .iter()
            .map(|queue| [queue.name.clone(), queue.to_string()])
            .collect();
        f.write_str(&table(["QUEUE", "OUTCOME"], &rows))
    }
}

impl Display for Changed {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.paused, self.outcome) {
            (true, "done") => "paused: running tasks end, no other begins",
            (true, _) => "paused already",
            (false, "done") => "resumed",
            (false, _) => "not paused",
        })?;
        match self.executors {
            0 => f.write_str("; no executor serves it at present")?,
            count => write!(f, "; {} serving it", counted(count, "executor"))?,
        }
        match &self.replaced {
            Some(why) => write!(f, "; what stood there had no effect, and was replaced: it {why}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use distjob_core::{JobData, JobEntry, MemberInfo, MemberName, QueueSwitches, Zxid};

    use super::*;

    fn name(text: &str) -> QueueName {
        QueueName::new(text).unwrap()
    }

    fn survey(jobs: &[(&str, &str)]) -> Survey {
        let entry = |data: &str| JobEntry {
            data: JobData::parse(data.as_bytes()).unwrap(),
            life: Zxid::new(1),
            version: 0,
            created_ms: 0,
        };
        Survey {
            jobs: jobs
                .iter()
                .map(|(id, data)| (JobId::new(*id).unwrap(), entry(data)))
                .collect(),
            unreadable: Vec::new(),
        }
    }

    fn executor(queues: &[&str], slots: u32) -> MemberInfo {
        MemberInfo {
            host: "alpha".to_owned(),
            pid: 1,
            version: "1".to_owned(),
            queues: queues.iter().map(|queue| name(queue)).collect(),
            slots,
            limits: BTreeMap::new(),
            since: 0,
        }
    }

    #[test]
    fn a_queue_is_listed_when_it_is_served_has_jobs_or_has_switches() {
        let survey = survey(&[
            ("a", "subm=10;queue=primes"),
            ("b", "prcd=5;queue=primes"),
            ("c", "subm=3"),
        ]);
        let done = Progress {
            committed: 4,
            failed: 1,
        };
        let progress = BTreeMap::from([(JobId::new("a").unwrap(), done)]);
        let members = [
            ("e-1", executor(&["primes"], 2)),
            ("e-2", executor(&["primes", "idle"], 4)),
        ];
        let roster = Roster {
            members: members
                .map(|(name, info)| (MemberName::new(name).unwrap(), Some(info)))
                .into(),
            ..Roster::default()
        };
        let paused = QueueSwitches::parse(br#"{"paused":true}"#).unwrap();
        let switches = Switchboard::new(BTreeMap::from([(name("other"), paused)]));
        let queues = gather(&survey, Some(&progress), &roster, &switches);
        let expected = "\
QUEUE    JOBS  WAITING TASKS  EXECUTORS  SLOTS  STATE
default  1     3              0          0      not served
idle     0     0              1          4
other    0     0              0          0      paused
primes   2     6              2          6
";
        assert_eq!(show_queues(&queues), expected);
        assert_eq!(
            serde_json::to_value(&queues[3]).unwrap(),
            serde_json::json!({
                "name": "primes", "paused": false, "executors": 2, "slots": 6, "jobs": {"subm": 1, "prcd": 1},
                "tasks": 10, "waiting": 6
            })
        );
    }

    #[test]
    fn an_operator_hears_what_became_of_each_queue() {
        let changed = |paused, outcome, replaced: Option<&str>, executors| Changed {
            name: "q".to_owned(),
            paused,
            outcome,
            replaced: replaced.map(str::to_owned),
            executors,
        };
        for (changed, said) in [
            (
                changed(true, "done", None, 2),
                "paused: running tasks end, no other begins; 2 executors serving it",
            ),
            (
                changed(true, "already", None, 0),
                "paused already; no executor serves it at present",
            ),
            (
                changed(false, "done", Some("is odd"), 1),
                "resumed; 1 executor serving it; what stood there had no effect, and was replaced: it is odd",
            ),
            (
                changed(false, "already", None, 1),
                "not paused; 1 executor serving it",
            ),
        ] {
            assert_eq!(changed.to_string(), said);
        }
    }
}
