//! `status`: everything at one look.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Formatter},
};

use distjob_core::{JobId, JobState, MemberInfo, MemberName, Role, Roster};
use distjob_runtime::{exit, reach::Reach};
use serde::Serialize;

use crate::{
    output::{Output, counted, since, span, table},
    queues::{self, Queue, show_queues},
    survey::{self, LedgerReport, Progress, Survey, Unreadable},
    troubles::{self, Trouble},
};

/// So many queues or jobs of a member are shown to people.
const WORKS_SHOWN: usize = 5;

#[derive(Debug, Serialize)]
struct Report {
    /// The ledger and whether the store belongs to it; `null` when redis does not answer.
    ledger: Option<LedgerReport>,
    executors: Vec<Member>,
    watchers: Vec<Member>,
    /// By name.
    queues: Vec<Queue>,
    /// How many jobs are in each state.
    jobs: BTreeMap<&'static str, u64>,
    /// `null` when redis does not answer.
    tasks: Option<Tasks>,
    /// Jobs that a watcher has locked, with its name.
    locks: Vec<Lock>,
    /// Sinks that do not take the results of jobs; empty also when redis does not answer.
    troubles: Vec<Trouble>,
    /// Znodes among the jobs that are none.
    unreadable: Vec<Unreadable>,
    /// Why redis does not answer.
    redis_error: Option<String>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Member {
    name: String,
    /// What its znode says; `null` when that cannot be read.
    #[serde(flatten)]
    info: Option<MemberInfo>,
    /// The jobs that it has locked.
    watching: Vec<String>,
}

/// Of the jobs that are not delivered yet.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Tasks {
    total: u64,
    committed: u64,
    /// Of the committed ones, those with an error.
    failed: u64,
}

#[derive(Debug, Serialize)]
struct Lock {
    job: String,
    watcher: String,
}

pub(crate) async fn run(reach: &Reach, output: Output) -> anyhow::Result<exit::Status> {
    let ledger = reach.belonging().await;
    let (ledger, redis_error) = match ledger {
        Ok((belonging, id)) => (Some(LedgerReport::new(belonging, id)), None),
        // Without redis there is much to see still, and somebody who needs to see it.
        Err(error) if is_redis_away(&error) => (None, Some(error)),
        Err(error) => return Err(error),
    };
    let survey = Survey::read(reach).await?;
    let progress = match &redis_error {
        None => Some(survey.progress(reach).await?),
        Some(_) => None,
    };
    let troubles = match &redis_error {
        None => troubles::of_all(reach, &survey).await?,
        Some(_) => Vec::new(),
    };
    let executors = survey::roster(reach, Role::Executor).await?;
    let switches = queues::switchboard(reach).await?;
    let locks = survey::locks(reach).await?;
    let report = Report {
        ledger,
        executors: members(&executors, &[]),
        watchers: members(&*survey::roster(reach, Role::Watcher).await?, &locks),
        queues: queues::gather(&survey, progress.as_ref(), &executors, &switches),
        jobs: by_state(&survey),
        tasks: progress.map(|progress| tasks(&survey, &progress)),
        locks: locks
            .into_iter()
            .map(|(job, watcher)| Lock { job, watcher })
            .collect(),
        troubles,
        unreadable: survey.unreadable,
        redis_error: redis_error.as_ref().map(|error| format!("{error:#}")),
    };
    output.report(&report)?;
    redis_error.map_or(Ok(exit::Status::Success), Err)
}

fn is_redis_away(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<exit::StoreUnreachable>()
        .is_some_and(|store| *store == exit::StoreUnreachable("redis"))
}

fn tasks(survey: &Survey, progress: &BTreeMap<JobId, Progress>) -> Tasks {
    let open = survey
        .jobs
        .values()
        .filter(|entry| entry.data.state != JobState::Uploaded);
    Tasks {
        total: open.map(|entry| entry.data.count).sum(),
        committed: progress.values().map(|progress| progress.committed).sum(),
        failed: progress.values().map(|progress| progress.failed).sum(),
    }
}

fn by_state(survey: &Survey) -> BTreeMap<&'static str, u64> {
    let mut jobs: BTreeMap<_, _> = JobState::ALL.map(|state| (state.as_str(), 0)).into();
    for entry in survey.jobs.values() {
        *jobs.entry(entry.data.state.as_str()).or_default() += 1;
    }
    jobs
}

fn members(roster: &Roster, locks: &[(String, String)]) -> Vec<Member> {
    let member = |(name, info): (&MemberName, &Option<MemberInfo>)| Member {
        name: name.to_string(),
        info: info.clone(),
        watching: locks
            .iter()
            .filter(|(_, watcher)| watcher == name.as_str())
            .map(|(job, _)| job.clone())
            .collect(),
    };
    roster.members.iter().map(member).collect()
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(complaint) = self.ledger.as_ref().and_then(|ledger| ledger.complaint.as_ref()) {
            writeln!(f, "STORES: {complaint}\n")?;
        }
        if let Some(error) = &self.redis_error {
            writeln!(f, "REDIS: {error}\n")?;
        }
        show_members(f, "executor", &self.executors)?;
        show_members(f, "watcher", &self.watchers)?;
        if !self.queues.is_empty() {
            writeln!(f, "{}", show_queues(&self.queues))?;
        }
        let total: u64 = self.jobs.values().sum();
        write!(f, "{}", counted(total, "job"))?;
        let mut separator = ": ";
        for state in JobState::ALL {
            if let Some(count) = self.jobs.get(state.as_str()).filter(|count| **count > 0) {
                write!(f, "{separator}{count} {state}")?;
                separator = ", ";
            }
        }
        writeln!(f)?;
        if let Some(tasks) = &self.tasks {
            let Tasks {
                total,
                committed,
                failed,
            } = tasks;
            writeln!(
                f,
                "{committed} of {} done, {failed} of them failed",
                counted(*total, "task")
            )?;
        }
        troubles::show(f, &self.troubles)?;
        show_unreadable(f, &self.unreadable)
    }
}

fn show_members(f: &mut Formatter<'_>, role: &str, members: &[Member]) -> fmt::Result {
    writeln!(f, "{}", counted(members.len() as u64, role))?;
    let rows: Vec<_> = members.iter().map(row).collect();
    let works = if role == "watcher" { "WATCHES" } else { "QUEUES" };
    writeln!(
        f,
        "{}",
        table(["NAME", "HOST", "PID", "SLOTS", "FOR", works], &rows)
    )
}

fn row(member: &Member) -> [String; 6] {
    let Some(info) = &member.info else {
        let unknown = || "?".to_owned();
        return [
            member.name.clone(),
            unknown(),
            unknown(),
            unknown(),
            unknown(),
            unknown(),
        ];
    };
    let queues = info.queues.iter().map(ToString::to_string);
    let mut works: Vec<_> = queues.chain(member.watching.iter().cloned()).collect();
    if works.len() > WORKS_SHOWN {
        let hidden = works.split_off(WORKS_SHOWN).len();
        works.push(format!("and {hidden} more"));
    }
    [
        member.name.clone(),
        info.host.clone(),
        info.pid.to_string(),
        info.slots.to_string(),
        span(since(info.since)),
        works.join(", "),
    ]
}

/// The znodes that are no jobs, for people.
pub(crate) fn show_unreadable(f: &mut Formatter<'_>, unreadable: &[Unreadable]) -> fmt::Result {
    if unreadable.is_empty() {
        return Ok(());
    }
    writeln!(
        f,
        "\n{} of other programs among the jobs:",
        counted(unreadable.len() as u64, "znode")
    )?;
    let rows: Vec<_> = unreadable
        .iter()
        .map(|znode| [znode.name.clone(), znode.reason.clone()])
        .collect();
    f.write_str(&table(["NAME", "WHY IT IS NO JOB"], &rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let info = MemberInfo {
            host: "alpha".to_owned(),
            pid: 42,
            version: "0.1.0".to_owned(),
            queues: Vec::new(),
            slots: 2,
            limits: BTreeMap::new(),
            since: u64::MAX,
        };
        Report {
            ledger: None,
            executors: Vec::new(),
            watchers: vec![Member {
                name: "alpha-42".to_owned(),
                info: Some(info),
                watching: ["a", "b", "c", "d", "e", "f"].map(str::to_owned).into(),
            }],
            queues: vec![Queue {
                name: "primes".to_owned(),
                paused: true,
                executors: 0,
                slots: 0,
                jobs: BTreeMap::from([("subm", 2)]),
                tasks: 10,
                waiting: Some(6),
            }],
            jobs: BTreeMap::from([("subm", 2), ("lost", 1), ("prcd", 0)]),
            tasks: Some(Tasks {
                total: 10,
                committed: 4,
                failed: 1,
            }),
            locks: Vec::new(),
            troubles: Vec::new(),
            unreadable: vec![Unreadable {
                name: "x y".to_owned(),
                reason: "because".to_owned(),
            }],
            redis_error: None,
        }
    }

    #[test]
    fn people_see_who_is_there_and_how_far_the_work_is() {
        let expected = "\
0 executors

1 watcher
NAME      HOST   PID  SLOTS  FOR  WATCHES
alpha-42  alpha  42   2      0s   a, b, c, d, e, and 1 more

QUEUE   JOBS  WAITING TASKS  EXECUTORS  SLOTS  STATE
primes  2     6              0          0      paused

3 jobs: 2 subm, 1 lost
4 of 10 tasks done, 1 of them failed

1 znode of other programs among the jobs:
NAME  WHY IT IS NO JOB
x y   because
";
        assert_eq!(report().to_string(), expected);
    }

    #[test]
    fn programs_see_the_same_under_stable_names() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(json["watchers"][0]["pid"], 42);
        assert_eq!(
            json["watchers"][0]["watching"],
            serde_json::json!(["a", "b", "c", "d", "e", "f"])
        );
        assert_eq!(
            json["tasks"],
            serde_json::json!({"total": 10, "committed": 4, "failed": 1})
        );
        assert_eq!(json["jobs"]["subm"], 2);
        assert_eq!(json["unreadable"][0]["name"], "x y");
    }
}
