//! Gathers what is known of jobs that follow each other, from the ledger, and from tombstones where that knows nothing.

use std::collections::BTreeSet;

use anyhow::Context as _;
use distjob_core::{
    Conclusion, GroupName, JobData, JobEntry, JobId, Source,
    flow::{Family, Kinship, Relative, SHOWN_MAX},
};
use distjob_runtime::{
    reach::Reach,
    zk::{GroupLook, JobRead},
};
use serde::Serialize;

use crate::survey::{self, Survey};

/// A job in a tree, as programs see it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Node {
    pub(crate) id: String,
    /// Which queue; `null` when nothing is known of the job any more.
    pub(crate) queue: Option<String>,
    /// As the ledger has it, or `gone`.
    pub(crate) state: &'static str,
    /// What it came to, once that is known.
    pub(crate) conclusion: Option<&'static str>,
    pub(crate) tasks: Option<u64>,
    /// How many of its tasks failed, once it ended.
    pub(crate) failed: Option<u64>,
    /// The group that it is a member of.
    pub(crate) group: Option<String>,
    /// The group that it joins.
    pub(crate) joins: Option<String>,
    /// The jobs that follow it.
    pub(crate) follow_ups: Vec<Self>,
}

impl Node {
    /// The tree from `root` down.
    pub(crate) fn of(family: &Family, root: &JobId) -> Self {
        Self::unseen(family, root, &mut BTreeSet::new())
    }

    fn unseen<'a>(family: &'a Family, id: &'a JobId, seen: &mut BTreeSet<&'a JobId>) -> Self {
        let relative = family.jobs.get(id).unwrap_or(&Relative::UNKNOWN);
        let data = relative.data.as_ref();
        let name = |group: &Option<GroupName>| group.as_ref().map(ToString::to_string);
        let goes_on = seen.insert(id) && seen.len() < SHOWN_MAX;
        let follow_ups = if goes_on {
            family.follow_ups(id)
        } else {
            Vec::new()
        };
        Self {
            id: id.to_string(),
            queue: data.map(|data| data.queue.to_string()),
            state: match data {
                Some(data) if !relative.is_gone => data.state.as_str(),
                _ => "gone",
            },
            conclusion: relative.conclusion().map(Conclusion::as_str),
            tasks: data.map(|data| data.count),
            failed: data.and_then(JobData::ending).map(|ending| ending.failed),
            group: data.and_then(|data| name(&data.ties.group)),
            joins: data.and_then(|data| name(&data.ties.joins)),
            follow_ups: follow_ups
                .into_iter()
                .map(|follow_up| Self::unseen(family, follow_up, seen))
                .collect(),
        }
    }
}

/// All that these jobs follow, and that follows them: what their znodes and tombstones tell, and their groups.
pub(crate) async fn gather(reach: &Reach, ids: impl IntoIterator<Item = JobId>) -> anyhow::Result<Family> {
    let mut family = Family::default();
    let mut wanted: Vec<JobId> = ids.into_iter().collect();
    while let Some(id) = wanted.pop() {
        if family.jobs.len() >= SHOWN_MAX || family.jobs.contains_key(&id) {
            continue;
        }
        let relative = relative(reach, &id).await?;
        if let Some(data) = &relative.data {
            wanted.extend(data.ties.parent.iter().chain(&data.ties.then).cloned());
            for group in data.ties.group.iter().chain(&data.ties.joins) {
                wanted.extend(add_group(reach, &mut family, group).await?);
            }
        }
        family.jobs.insert(id, relative);
    }
    Ok(family)
}

/// Takes a group in, unless it is gone; the jobs that follow it.
pub(crate) async fn add_group(
    reach: &Reach,
    family: &mut Family,
    name: &GroupName,
) -> anyhow::Result<Vec<JobId>> {
    if family.groups.contains_key(name) {
        return Ok(Vec::new());
    }
    let Some(look) = look(reach, name).await? else {
        return Ok(Vec::new());
    };
    family.groups.insert(name.clone(), kinship(&look));
    Ok(look.group.data.then)
}

/// A group; `None` without one.
pub(crate) async fn look(reach: &Reach, name: &GroupName) -> anyhow::Result<Option<GroupLook>> {
    reach
        .zookeeper(|ledger| async move { ledger.look_at_group(name).await })
        .await
        .with_context(|| format!("look at group {name}"))
}

const fn kinship(look: &GroupLook) -> Kinship {
    Kinship {
        state: look.group.data.state,
        pending: look.pending,
        done: look.done,
    }
}

async fn relative(reach: &Reach, id: &JobId) -> anyhow::Result<Relative> {
    if let JobRead::Job(entry) = survey::read_fresh(reach, id).await? {
        return live(reach, id, entry).await;
    }
    let inspection = survey::inspect(reach, id, &Source::Plain).await?;
    Ok(Relative {
        data: inspection.meta.and_then(|meta| meta.last),
        ..Relative::UNKNOWN
    })
}

async fn live(reach: &Reach, id: &JobId, entry: JobEntry) -> anyhow::Result<Relative> {
    let committed = if survey::is_in_store(&entry) {
        Some(survey::progress(reach, id, &entry).await?.committed)
    } else {
        None
    };
    Ok(Relative {
        data: Some(entry.data),
        is_gone: false,
        committed,
    })
}

/// All jobs and groups of the ledger.
pub(crate) async fn of_all(reach: &Reach) -> anyhow::Result<Family> {
    let survey = Survey::read(reach).await?;
    let progress = survey.progress(reach).await?;
    let mut family = Family::default();
    for name in groups(reach).await? {
        add_group(reach, &mut family, &name).await?;
    }
    let relative = |(id, entry): (JobId, JobEntry)| {
        let relative = Relative {
            data: Some(entry.data),
            is_gone: false,
            committed: progress.get(&id).map(|progress| progress.committed),
        };
        (id, relative)
    };
    family.jobs = survey.jobs.into_iter().map(relative).collect();
    Ok(family)
}

/// The names of all groups.
pub(crate) async fn groups(reach: &Reach) -> anyhow::Result<Vec<GroupName>> {
    reach
        .zookeeper(|ledger| async move { ledger.groups().await })
        .await
        .context("list the groups")
}
