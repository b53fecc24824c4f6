//! `groups`: the groups whose jobs are not all done and joined.

use std::fmt::{self, Display, Formatter};

use distjob_core::GroupName;
use distjob_runtime::{exit::Status, reach::Reach, zk::GroupLook};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;

use crate::{
    family,
    output::{Output, table},
};

/// Questions that are under way at once.
const AT_ONCE: usize = 64;

#[derive(Debug, Serialize)]
struct Report {
    /// By name.
    groups: Vec<Group>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Group {
    name: String,
    /// `open` (more jobs may come), `closed`, or `joined` (what follows is created, and the group is being removed).
    state: &'static str,
    /// The queue of all its jobs.
    queue: String,
    /// How many members are not done.
    pending: usize,
    /// How many are.
    done: usize,
    /// What follows, once it is joined.
    then: Vec<String>,
}

impl Group {
    fn new(name: &GroupName, look: &GroupLook) -> Self {
        let data = &look.group.data;
        Self {
            name: name.to_string(),
            state: data.state.as_str(),
            queue: data.queue.to_string(),
            pending: look.pending,
            done: look.done,
            then: data.then.iter().map(ToString::to_string).collect(),
        }
    }

    fn row(&self) -> [String; 5] {
        [
            self.name.clone(),
            self.queue.clone(),
            self.pending.to_string(),
            self.done.to_string(),
            self.state.to_owned(),
        ]
    }
}

pub(crate) async fn run(reach: &Reach, output: Output) -> anyhow::Result<Status> {
    let groups = stream::iter(family::groups(reach).await?)
        .map(|name| async move {
            let look = family::look(reach, &name).await?;
            anyhow::Ok(look.map(|look| Group::new(&name, &look)))
        })
        .buffered(AT_ONCE)
        // One that is gone by now is none.
        .try_filter_map(|group| async move { Ok(group) })
        .try_collect()
        .await?;
    output.report(&Report { groups })?;
    Ok(Status::Success)
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let rows: Vec<_> = self.groups.iter().map(Group::row).collect();
        if rows.is_empty() {
            writeln!(f, "no groups")?;
        }
        f.write_str(&table(["NAME", "QUEUE", "PENDING", "DONE", "STATE"], &rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_see_a_table() {
        let group = Group {
            name: "nightly".to_owned(),
            state: "closed",
            queue: "words".to_owned(),
            pending: 2,
            done: 40,
            then: Vec::new(),
        };
        let report = Report { groups: vec![group] };
        assert_eq!(
            report.to_string(),
            "\
NAME     QUEUE  PENDING  DONE  STATE
nightly  words  2        40    closed
"
        );
        assert_eq!(Report { groups: Vec::new() }.to_string(), "no groups\n");
    }
}
