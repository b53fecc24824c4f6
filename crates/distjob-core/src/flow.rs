//! Jobs that follow jobs, as people see them: a tree, and a chart.
//!
//! ```text
//! w1 (words): uploaded, succeeded              flowchart LR
//! ├── m1 (merge): subm, 3 of 10 tasks              n0["w1<br/>words: uploaded, succeeded"]
//! └── e1 (again): gone, failed                     n1["m1<br/>merge: subm, 3 of 10 tasks"]
//!                                                  n0 --> n1
//! ```
//!
//! What is known of a job comes from its znode, or from its tombstone when that is gone. A job tells which it follows;
//! one that was delivered tells also which follow it. Of a group only its members, and the job that joined it, tell.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Write as _},
};

use crate::{Conclusion, GroupName, JobData, JobId, JobState, group::GroupState};

/// Most jobs of a tree that are shown: one that branches more is cut there.
pub const SHOWN_MAX: usize = 500;

/// What is known of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relative {
    /// What its znode says, or said last; `None` when neither the ledger nor the store knows it any more.
    pub data: Option<JobData>,
    /// Whether its znode is gone.
    pub is_gone: bool,
    /// How many of its tasks have an outcome, when the store tells.
    pub committed: Option<u64>,
}

impl Relative {
    /// Nothing is known of it but that another job names it.
    pub const UNKNOWN: Self = Self {
        data: None,
        is_gone: true,
        committed: None,
    };

    /// What it came to, if it ended.
    #[must_use]
    pub fn conclusion(&self) -> Option<Conclusion> {
        self.data
            .as_ref()
            .and_then(JobData::ending)
            .map(|ending| ending.conclusion)
    }
}

impl fmt::Display for Relative {
    /// `words: subm, 3 of 10 tasks`, `merge: gone, partly-failed, 1 of 10 tasks failed`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(data) = &self.data else {
            return f.write_str("nothing is known of it any more");
        };
        let state = if self.is_gone { "gone" } else { data.state.as_str() };
        write!(f, "{}: {state}, ", data.queue)?;
        let tasks = tasks(data.count);
        match (data.ending(), self.committed) {
            (Some(ending), _) if ending.conclusion == Conclusion::Cancelled => {
                write!(f, "cancelled, {tasks}")
            }
            (Some(ending), _) if ending.failed > 0 => {
                write!(f, "{}, {} of {tasks} failed", ending.conclusion, ending.failed)
            }
            (Some(ending), _) => write!(f, "{}, {tasks}", ending.conclusion),
            (None, Some(committed)) if data.state != JobState::Lost => {
                write!(f, "{committed} of {tasks} done")
            }
            (None, _) => f.write_str(&tasks),
        }
    }
}

/// Those that were `told`, and behind them the others that tell it themselves.
fn with_others<'a>(mut told: Vec<&'a JobId>, others: impl Iterator<Item = &'a JobId>) -> Vec<&'a JobId> {
    let known: BTreeSet<&JobId> = told.iter().copied().collect();
    told.extend(others.filter(|other| !known.contains(other)));
    told
}

fn tasks(count: u64) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} task{plural}")
}

/// What is known of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kinship {
    /// How far it has come.
    pub state: GroupState,
    /// How many members are not done.
    pub pending: usize,
    /// How many are.
    pub done: usize,
}

/// Jobs and how they follow each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Family {
    /// The jobs.
    pub jobs: BTreeMap<JobId, Relative>,
    /// The groups, where their znodes are still there.
    pub groups: BTreeMap<GroupName, Kinship>,
}

impl Family {
    /// The job that `id` follows.
    #[must_use]
    pub fn parent(&self, id: &JobId) -> Option<&JobId> {
        self.jobs.get(id)?.data.as_ref()?.ties.parent.as_ref()
    }

    /// The jobs that follow `id`: as it tells them, then those that only tell it themselves. Looks at all jobs.
    #[must_use]
    pub fn follow_ups(&self, id: &JobId) -> Vec<&JobId> {
        let told = self.told(id).collect();
        let telling = self.jobs.keys().filter(|other| self.parent(other) == Some(id));
        with_others(told, telling)
    }

    /// The jobs that follow each job, as [`Family::follow_ups`] has them; each job is looked at once.
    fn descent(&self) -> BTreeMap<&JobId, Vec<&JobId>> {
        let mut telling: BTreeMap<&JobId, Vec<&JobId>> = BTreeMap::new();
        for id in self.jobs.keys() {
            if let Some(parent) = self.parent(id) {
                telling.entry(parent).or_default().push(id);
            }
        }
        let follow_ups = |id| {
            let telling = telling.get(id).into_iter().flatten().copied();
            (id, with_others(self.told(id).collect(), telling))
        };
        self.jobs.keys().map(follow_ups).collect()
    }

    /// The jobs that follow `id` as it tells them itself.
    fn told(&self, id: &JobId) -> impl Iterator<Item = &JobId> {
        let told = self.jobs.get(id).and_then(|job| job.data.as_ref());
        told.into_iter().flat_map(|data| &data.ties.then)
    }

    /// The first of the jobs that `id` follows, or itself.
    #[must_use]
    pub fn root<'a>(&'a self, id: &'a JobId) -> &'a JobId {
        let mut seen = BTreeSet::from([id]);
        let mut root = id;
        // Data made by hand may go round.
        while let Some(parent) = self.parent(root).filter(|parent| seen.insert(parent)) {
            root = parent;
        }
        root
    }

    /// The tree from `root` down, a line a job, with `mark` after the job that is asked about.
    #[must_use]
    pub fn tree(&self, root: &JobId, asked: &JobId, mark: &str) -> String {
        let mut text = String::new();
        let mut seen = BTreeSet::new();
        self.draw(root, "", "", &mut |line, id| {
            let mark = if id == asked { mark } else { "" };
            let _ = writeln!(text, "{line}{mark}");
            seen.insert(id.clone()) && seen.len() < SHOWN_MAX
        });
        text
    }

    /// Draws a job behind `lead`, and what follows it behind `below`, for as long as `show` says to go on below it.
    fn draw(&self, id: &JobId, lead: &str, below: &str, show: &mut impl FnMut(&str, &JobId) -> bool) {
        let relative = self.jobs.get(id).unwrap_or(&Relative::UNKNOWN);
        let joins = relative.data.as_ref().and_then(|data| data.ties.joins.as_ref());
        let joins = joins.map_or(String::new(), |group| format!(", joins group {group}"));
        if !show(&format!("{lead}{id} ({relative}{joins})"), id) {
            return;
        }
        let follow_ups = self.follow_ups(id);
        for (position, follow_up) in follow_ups.iter().enumerate() {
            let is_last = position + 1 == follow_ups.len();
            let (branch, indent) = if is_last {
                ("└── ", "    ")
            } else {
                ("├── ", "│   ")
            };
            self.draw(
                follow_up,
                &format!("{below}{branch}"),
                &format!("{below}{indent}"),
                show,
            );
        }
    }

    /// A flowchart in Mermaid's language, from left to right: jobs are boxes, groups are hexagons.
    #[must_use]
    pub fn mermaid(&self) -> String {
        let mut text = "flowchart LR\n".to_owned();
        let descent = self.descent();
        let named = descent
            .iter()
            .flat_map(|(id, follow_ups)| follow_ups.iter().copied().chain(self.parent(id)));
        let ids: BTreeSet<&JobId> = self.jobs.keys().chain(named).collect();
        let number: BTreeMap<&JobId, usize> = ids.iter().enumerate().map(|(n, id)| (*id, n)).collect();
        for (id, n) in &number {
            let relative = self.jobs.get(*id).unwrap_or(&Relative::UNKNOWN);
            let _ = writeln!(text, "    n{n}[\"{id}<br/>{relative}\"]");
        }
        let data = |id: &JobId| self.jobs.get(id).and_then(|job| job.data.as_ref());
        let tied = ids.iter().filter_map(|id| data(id)).map(|data| &data.ties);
        let groups: BTreeSet<&GroupName> = tied
            .flat_map(|ties| [&ties.group, &ties.joins])
            .flatten()
            .chain(self.groups.keys())
            .collect();
        let hexagon: BTreeMap<&GroupName, usize> =
            groups.iter().enumerate().map(|(n, group)| (*group, n)).collect();
        for (group, n) in &hexagon {
            let _ = writeln!(text, "    g{n}{{{{\"group {group}{}\"}}}}", self.standing(group));
        }
        for (id, n) in &number {
            if let Some(group) = data(id).and_then(|data| data.ties.group.as_ref()) {
                let _ = writeln!(text, "    n{n} --> g{}", hexagon[group]);
            }
            if let Some(group) = data(id).and_then(|data| data.ties.joins.as_ref()) {
                let _ = writeln!(text, "    g{} --> n{n}", hexagon[group]);
            }
            for follow_up in descent.get(id).into_iter().flatten() {
                // What joins a group follows the group.
                if data(follow_up).is_none_or(|data| data.ties.joins.is_none()) {
                    let _ = writeln!(text, "    n{n} --> n{}", number[follow_up]);
                }
            }
        }
        text
    }

    fn standing(&self, group: &GroupName) -> String {
        match self.groups.get(group) {
            Some(Kinship { state, pending, done }) => {
                format!("<br/>{state}, {done} of {} done", pending + done)
            }
            None => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> JobId {
        JobId::new(text).unwrap()
    }

    fn family(jobs: &[(&str, &str)]) -> Family {
        let relative = |text: &str| Relative {
            data: JobData::parse(text.trim_start_matches("gone ").as_bytes()).ok(),
            is_gone: text.starts_with("gone "),
            committed: text.starts_with("subm").then_some(3),
        };
        Family {
            jobs: jobs
                .iter()
                .map(|(name, text)| (id(name), relative(text)))
                .collect(),
            groups: BTreeMap::new(),
        }
    }

    fn three_stages() -> Family {
        family(&[
            (
                "w",
                "gone uploaded=10;queue=words;failed=1;conclusion=partly-failed;then=m,e",
            ),
            (
                "m",
                "uploaded=9;queue=merge;parent=w;depth=1;failed=0;conclusion=succeeded;then=z",
            ),
            ("z", "subm=1;queue=zip;parent=m;depth=2"),
        ])
    }

    #[test]
    fn a_tree_is_drawn_from_the_first_job_with_all_that_follow() {
        let family = three_stages();
        let asked = id("z");
        assert_eq!(family.root(&asked), &id("w"));
        assert_eq!(
            family.tree(family.root(&asked), &asked, "  <-- this one"),
            "\
w (words: gone, partly-failed, 1 of 10 tasks failed)
├── m (merge: uploaded, succeeded, 9 tasks)
│   └── z (zip: subm, 3 of 1 task done)  <-- this one
└── e (nothing is known of it any more)
"
        );
    }

    #[test]
    fn a_chart_has_a_box_for_each_job_and_a_hexagon_for_each_group() {
        let mut family = family(&[
            (
                "a",
                "uploaded=1;queue=q;group=g;failed=0;conclusion=succeeded;then=d",
            ),
            ("b", "cncl=2;queue=q;group=g"),
            ("j", "subm=2;queue=merge;parent=b;depth=1;joins=g"),
        ]);
        let group = GroupName::new("g").unwrap();
        let kinship = Kinship {
            state: GroupState::Joined,
            pending: 0,
            done: 2,
        };
        family.groups.insert(group, kinship);
        assert_eq!(
            family.mermaid(),
            "\
flowchart LR
    n0[\"a<br/>q: uploaded, succeeded, 1 task\"]
    n1[\"b<br/>q: cncl, cancelled, 2 tasks\"]
    n2[\"d<br/>nothing is known of it any more\"]
    n3[\"j<br/>merge: subm, 3 of 2 tasks done\"]
    g0{{\"group g<br/>joined, 2 of 2 done\"}}
    n0 --> g0
    n0 --> n2
    n1 --> g0
    g0 --> n3
"
        );
    }

    #[test]
    fn a_chart_of_a_hundred_thousand_jobs_looks_at_each_once() {
        let count = 100_000;
        let relative = |n: usize| Relative {
            data: JobData::parse(format!("subm=1;parent=j{}", n / 2).as_bytes()).ok(),
            is_gone: false,
            committed: None,
        };
        let family = Family {
            jobs: (0..count).map(|n| (id(&format!("j{n}")), relative(n))).collect(),
            groups: BTreeMap::new(),
        };
        assert_eq!(family.mermaid().matches("-->").count(), count);
    }

    #[test]
    fn jobs_that_name_each_other_in_a_circle_are_drawn_once_more_and_no_further() {
        let family = family(&[("a", "subm=4;parent=b"), ("b", "subm=4;parent=a")]);
        let asked = id("a");
        let root = family.root(&asked);
        assert_eq!(root, &id("b"));
        let tree = family.tree(root, &asked, "");
        assert_eq!(tree.lines().count(), 3, "{tree}");
        assert_eq!(family.mermaid().matches("-->").count(), 2);
    }

    #[test]
    fn a_job_alone_is_a_tree_of_one_line() {
        let family = family(&[("a", "lost=4;why=a hole")]);
        assert_eq!(
            family.tree(&id("a"), &id("a"), ""),
            "a (default: lost, 4 tasks)\n"
        );
    }
}
