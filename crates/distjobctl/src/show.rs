//! `show`: one job, all of it.

use std::{
    fmt::{self, Display, Formatter},
    time::Duration,
};

use distjob_core::{
    Holder, JobId, Lease, Role, Roster, Source,
    store::{Inspection, Meta, MetaState},
    trouble::SinkTrouble,
};
use distjob_runtime::{exit::Status, reach::Reach, zk::JobRead};
use serde::Serialize;

use crate::{
    family::{self, Node},
    jobs::Job,
    output::{Output, counted, since, span, table},
    survey::{self, Progress},
    troubles,
};

#[derive(Debug, Serialize)]
struct Report {
    id: String,
    /// What the ledger says; `null` when it has no such job.
    job: Option<Job>,
    /// Why the znode of that id is no job, when it is none.
    unreadable: Option<String>,
    /// The watcher that has locked it.
    watcher: Option<String>,
    /// The sink that does not take its result, as the watcher that tries says it.
    trouble: Option<SinkTrouble>,
    /// What the store says.
    store: Store,
    /// From the first of the jobs that it follows to the last of those that follow it; `null` when it is alone.
    tree: Option<Node>,
    /// The same for people.
    #[serde(skip)]
    drawn: String,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Store {
    /// `none`, `open`, or `gone` (a tombstone).
    state: &'static str,
    /// Which life of the id that is about.
    life: Option<String>,
    /// What the job came to, when a tombstone tells it: `succeeded`, `partly-failed`, `failed`, or `cancelled`.
    conclusion: Option<&'static str>,
    /// In how many seconds the tombstone expires.
    expires_in_s: Option<u64>,
    /// How many tasks wait in the list that they were pushed to.
    staged: u64,
    /// How many tasks the job has.
    tasks: u64,
    committed: u64,
    /// Of the committed ones, those with an error.
    failed: u64,
    /// Who works on what.
    leases: Vec<Leases>,
    /// How many ranges were given back and wait for somebody.
    freed_total: u64,
    /// The first 1,000 of them.
    freed: Vec<Range>,
    /// The tasks that nobody has touched: from this index to the end.
    unreached_from: u64,
    /// Whether the pieces add up to the whole.
    whole: Option<bool>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Leases {
    holder: String,
    /// `alive`, `dead` (proven, its ranges will be taken from it), or `unknown`.
    executor: &'static str,
    ranges: Vec<Range>,
}

/// A run of tasks `[lo, hi)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Range {
    lo: u64,
    hi: u64,
    /// How many executors died over it.
    attempts: u32,
}

impl From<&Lease> for Range {
    fn from(lease: &Lease) -> Self {
        Self {
            lo: lease.range.lo(),
            hi: lease.range.hi(),
            attempts: lease.attempts,
        }
    }
}

pub(crate) async fn run(reach: &Reach, output: Output, id: &JobId) -> anyhow::Result<Status> {
    let read = survey::read_fresh(reach, id).await?;
    let (entry, unreadable) = match read {
        JobRead::Job(entry) => (Some(entry), None),
        JobRead::Unreadable(_, error) => (None, Some(format!("its data {error}"))),
        JobRead::Gone => (None, None),
    };
    let source = entry
        .as_ref()
        .map_or(Source::Plain, |entry| entry.data.source.clone());
    let inspection = survey::inspect(reach, id, &source).await?;
    let roster = survey::roster(reach, Role::Executor).await?;
    let locks = survey::locks(reach).await?;
    let store = Store::new(&inspection, &roster);
    let trouble = troubles::of_job(reach, id).await?;
    let family = family::gather(reach, [id.clone()]).await?;
    let root = family.root(id);
    let is_alone = root == id && family.follow_ups(id).is_empty();
    let progress = inspection.meta.as_ref().map(|meta| Progress {
        committed: meta.committed,
        failed: meta.failed,
    });
    let report = Report {
        id: id.to_string(),
        job: entry.as_ref().map(|entry| Job::new(id, entry, progress)),
        unreadable,
        watcher: locks
            .into_iter()
            .find_map(|(job, watcher)| (job == id.as_str()).then_some(watcher)),
        trouble,
        store,
        tree: (!is_alone).then(|| Node::of(&family, root)),
        drawn: family.tree(root, id, "  <-- this job"),
    };
    output.report(&report)?;
    let is_known = report.job.is_some() || report.store.state != "none";
    Ok(if is_known {
        Status::Success
    } else {
        Status::Failure
    })
}

impl Store {
    fn new(inspection: &Inspection, roster: &Roster) -> Self {
        let meta = inspection.meta.as_ref();
        let ending = meta.and_then(Meta::ending);
        let is_open = meta.is_some_and(|meta| meta.state == MetaState::Open);
        let leased: u64 = inspection
            .leases
            .values()
            .flatten()
            .map(|lease| lease.range.len())
            .sum();
        let freed: u64 = inspection.freed.iter().map(|lease| lease.range.len()).sum();
        let are_all_listed = inspection.freed.len() as u64 == inspection.freed_total;
        Self {
            state: match meta.map(|meta| meta.state) {
                None => "none",
                Some(MetaState::Open) => "open",
                Some(MetaState::Gone) => "gone",
            },
            life: meta.map(|meta| meta.life.to_string()),
            conclusion: ending.map(|ending| ending.conclusion.as_str()),
            expires_in_s: inspection.meta_ttl_s,
            staged: inspection.source,
            tasks: ending.map_or(inspection.tasks, |ending| ending.count),
            committed: meta.map_or(0, |meta| meta.committed),
            failed: meta.map_or(0, |meta| meta.failed),
            leases: inspection
                .leases
                .iter()
                .map(|(holder, leases)| Leases {
                    holder: holder.to_string(),
                    executor: condition(roster, holder),
                    ranges: leases.iter().map(Range::from).collect(),
                })
                .collect(),
            freed_total: inspection.freed_total,
            freed: inspection.freed.iter().map(Range::from).collect(),
            unreached_from: meta.map_or(0, |meta| meta.cursor),
            whole: meta
                .filter(|_| is_open && are_all_listed)
                .map(|meta| meta.count == inspection.tasks && meta.committed + leased + freed == meta.cursor),
        }
    }
}

fn condition(roster: &Roster, holder: &Holder) -> &'static str {
    if roster.members.contains_key(&holder.name) {
        "alive"
    } else if roster.proves_dead(holder) {
        "dead"
    } else {
        "unknown"
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let id = &self.id;
        match (&self.job, &self.unreadable) {
            (Some(job), _) => {
                writeln!(
                    f,
                    "job {id}: {}, {}, queue {}, created {} ago",
                    job.state,
                    counted(job.tasks, "task"),
                    job.queue,
                    job.age()
                )?;
                if let Some(why) = &job.why {
                    writeln!(f, "lost because: {why}")?;
                }
                if let (Some(conclusion), Some(failed)) = (job.conclusion, job.failed) {
                    writeln!(
                        f,
                        "{conclusion}: {failed} of {} failed",
                        counted(job.tasks, "task")
                    )?;
                }
                if let Some(group) = &job.group {
                    writeln!(f, "member of group {group}")?;
                }
                if !job.skip.is_empty() {
                    writeln!(f, "skipped sinks: {}", job.skip.join(", "))?;
                }
                if let Some(deadline_ms) = job.deadline_ms {
                    writeln!(f, "deadline: {}", until(deadline_ms))?;
                }
            }
            (None, Some(reason)) => writeln!(f, "job {id}: the znode is no job, {reason}")?,
            (None, None) => writeln!(f, "job {id}: not in the ledger")?,
        }
        if let Some(watcher) = &self.watcher {
            writeln!(f, "locked by watcher {watcher}")?;
        }
        if let Some(trouble) = &self.trouble {
            writeln!(f, "{}", troubles::told(trouble))?;
        }
        self.store.fmt(f)?;
        if self.tree.is_some() {
            write!(f, "\n{}", self.drawn)?;
        }
        Ok(())
    }
}

impl Display for Store {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.state {
            "gone" => {
                let left = span(Duration::from_secs(self.expires_in_s.unwrap_or_default()));
                let (tasks, failed) = (counted(self.tasks, "task"), self.failed);
                return match self.conclusion {
                    Some("cancelled") => writeln!(f, "redis: cancelled, remembered for {left} more"),
                    Some(conclusion) => writeln!(
                        f,
                        "redis: {conclusion}, {failed} of {tasks} failed; remembered for {left} more"
                    ),
                    None => writeln!(f, "redis: done and cleaned up, remembered for {left} more"),
                };
            }
            "open" => {}
            _ => {
                return writeln!(
                    f,
                    "redis: nothing of it is open, {} pushed",
                    counted(self.staged, "task")
                );
            }
        }
        let unreached = self.tasks.saturating_sub(self.unreached_from);
        writeln!(
            f,
            "redis: {} of {} committed ({} failed), {unreached} not begun",
            self.committed,
            counted(self.tasks, "task"),
            self.failed
        )?;
        if self.whole == Some(false) {
            writeln!(f, "redis: THE PIECES DO NOT ADD UP, part of the job is missing")?;
        }
        let leased = self.leases.iter().flat_map(|leases| {
            leases
                .ranges
                .iter()
                .map(|range| row(range, format!("{} ({})", leases.holder, leases.executor)))
        });
        let freed = self.freed.iter().map(|range| row(range, "given back".to_owned()));
        let rows: Vec<_> = leased.chain(freed).collect();
        f.write_str(&table(["FROM", "UPTO", "TASKS", "DEATHS", "WITH"], &rows))?;
        let hidden = self.freed_total - self.freed.len() as u64;
        if hidden > 0 {
            writeln!(f, "and {} more given back", counted(hidden, "range"))?;
        }
        Ok(())
    }
}

/// How far a moment, in milliseconds since 1970, is away.
fn until(moment_ms: u64) -> String {
    let now_ms = u64::try_from(since(0).as_millis()).unwrap_or(u64::MAX);
    match moment_ms.checked_sub(now_ms) {
        Some(left_ms) => format!("in {}", span(Duration::from_millis(left_ms))),
        None => format!("passed {} ago", span(since(moment_ms))),
    }
}

fn row(range: &Range, with: String) -> [String; 5] {
    let Range { lo, hi, attempts } = range;
    [
        lo.to_string(),
        hi.to_string(),
        (hi - lo).to_string(),
        attempts.to_string(),
        with,
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use distjob_core::{Conclusion, MemberName, Zxid};

    use super::*;

    fn inspection() -> Inspection {
        let holder = |name: &str, born| Holder {
            born: Zxid::new(born),
            name: MemberName::new(name).unwrap(),
        };
        let leases = |text: &str| Lease::parse_list(text).unwrap();
        Inspection {
            meta: Some(Meta {
                life: Zxid::new(7),
                state: MetaState::Open,
                source: Source::Plain,
                count: 100,
                cursor: 40,
                committed: 20,
                failed: 3,
                conclusion: None,
                last: None,
            }),
            meta_ttl_s: None,
            tasks: 100,
            results: 2,
            source: 0,
            leases: BTreeMap::from([
                (holder("a", 1), leases("10:20:0")),
                (holder("b", 2), leases("25:30:1")),
                (holder("c", 99), leases("30:31:0")),
            ]),
            freed_total: 1,
            freed: leases("36:40:2"),
        }
    }

    fn roster() -> Roster {
        Roster {
            as_of: Zxid::new(50),
            members: BTreeMap::from([(MemberName::new("a").unwrap(), None)]),
            ..Roster::default()
        }
    }

    #[test]
    fn every_piece_of_a_job_is_shown_with_who_has_it() {
        let expected = "\
redis: 20 of 100 tasks committed (3 failed), 60 not begun
FROM  UPTO  TASKS  DEATHS  WITH
10    20    10     0       0000000000000001.a (alive)
25    30    5      1       0000000000000002.b (dead)
30    31    1      0       0000000000000063.c (unknown)
36    40    4      2       given back
";
        let store = Store::new(&inspection(), &roster());
        assert_eq!(store.to_string(), expected);
        assert_eq!(store.whole, Some(true));
    }

    #[test]
    fn a_tombstone_tells_how_the_job_ended() {
        let mut gone = Inspection {
            meta_ttl_s: Some(3600),
            tasks: 0,
            leases: BTreeMap::new(),
            freed_total: 0,
            freed: Vec::new(),
            ..inspection()
        };
        if let Some(meta) = &mut gone.meta {
            meta.state = MetaState::Gone;
            meta.conclusion = Some(Conclusion::PartlyFailed);
        }
        let store = Store::new(&gone, &roster());
        assert_eq!(
            store.to_string(),
            "redis: partly-failed, 3 of 100 tasks failed; remembered for 1h more\n"
        );
        assert_eq!((store.conclusion, store.tasks), (Some("partly-failed"), 100));
    }

    #[test]
    fn pieces_that_do_not_add_up_are_told() {
        let mut inspection = inspection();
        inspection.freed.clear();
        inspection.freed_total = 0;
        let store = Store::new(&inspection, &roster());
        assert_eq!(store.whole, Some(false));
        assert!(store.to_string().contains("DO NOT ADD UP"));
    }

    #[test]
    fn programs_see_the_partition_under_stable_names() {
        let json = serde_json::to_value(Store::new(&inspection(), &roster())).unwrap();
        assert_eq!(json["state"], "open");
        assert_eq!(json["unreached_from"], 40);
        assert_eq!(
            json["leases"][1],
            serde_json::json!({
                "holder": "0000000000000002.b", "executor": "dead",
                "ranges": [{"lo": 25, "hi": 30, "attempts": 1}]
            })
        );
    }
}
