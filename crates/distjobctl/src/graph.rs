//! `graph`: jobs and what follows them, as a chart in Mermaid's language.

use anyhow::{Context as _, bail};
use distjob_core::{GroupName, JobId};
use distjob_runtime::{exit::Status, reach::Reach};
use serde::Serialize;

use crate::{cli::Of, family, output::Output};

#[derive(Debug, Serialize)]
struct Report {
    /// The chart.
    mermaid: String,
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.mermaid)
    }
}

pub(crate) async fn run(reach: &Reach, output: Output, of: Of) -> anyhow::Result<Status> {
    let family = match of {
        Of { id: Some(id), .. } => of_job(reach, id).await?,
        Of {
            group: Some(group), ..
        } => of_group(reach, &group).await?,
        Of { .. } => family::of_all(reach).await?,
    };
    output.report(&Report {
        mermaid: family.mermaid(),
    })?;
    Ok(Status::Success)
}

async fn of_job(reach: &Reach, id: JobId) -> anyhow::Result<distjob_core::flow::Family> {
    let family = family::gather(reach, [id.clone()]).await?;
    if family.jobs.get(&id).is_none_or(|job| job.data.is_none()) {
        bail!("nothing is known of job {id}");
    }
    Ok(family)
}

async fn of_group(reach: &Reach, group: &GroupName) -> anyhow::Result<distjob_core::flow::Family> {
    let Some(look) = family::look(reach, group).await? else {
        bail!("there is no group {group}");
    };
    let members = reach
        .zookeeper(|ledger| async move {
            let mut members = ledger.pending_members(group).await?;
            members.extend(ledger.done_members(group).await?);
            Ok(members)
        })
        .await
        .with_context(|| format!("list the members of group {group}"))?;
    let mut family = family::gather(reach, members.into_iter().chain(look.group.data.then)).await?;
    family::add_group(reach, &mut family, group).await?;
    Ok(family)
}
