//! `gc`: dropping what nobody will ever ask for.
//!
//! A Redis that was rolled back to before a `drop` has the keys of a job again that is gone from the ledger. That it is
//! gone is proven like a death: by one list of all jobs that is at least as new as the job's creation and lacks its id.
//!
//! The same goes for a tombstone without a time to live. No script leaves one, but half of a script does: a Redis that
//! starts with a log that was cut off within one may run what is left of it.

use std::{
    collections::HashSet,
    fmt::{self, Display, Formatter},
    time::Duration,
};

use anyhow::{Context as _, bail};
use distjob_core::{Source, belonging::Belonging};
use distjob_runtime::{exit::Status, reach::Reach, store::MetaEntry};
use serde::Serialize;

use crate::{
    output::{Output, counted, table},
    survey,
};

#[derive(Debug, Serialize)]
struct Report {
    /// Whether it was only looked.
    dry_run: bool,
    /// What was dropped, or would be.
    dropped: Vec<Dropped>,
    /// How many jobs stay, for the ledger has them.
    kept: u64,
}

#[derive(Debug, Serialize)]
struct Dropped {
    id: String,
    /// Creation zxid of the znode that it had.
    life: String,
    tasks: u64,
    committed: u64,
}

pub(crate) async fn run(
    reach: &Reach,
    output: Output,
    dry_run: bool,
    tombstone_ttl: Duration,
) -> anyhow::Result<Status> {
    let (belonging, _) = reach.belonging().await?;
    match belonging {
        Belonging::Ours => {}
        other => bail!(
            "nothing was dropped: {}",
            other
                .complaint()
                .unwrap_or_else(|| "redis has no ledger mark yet".to_owned())
        ),
    }
    let staying = staying_jobs(reach).await?;
    // Only now: the newer the list, the more it proves.
    let (names, as_of) = survey::list(reach).await?;
    let names: HashSet<_> = names.iter().map(String::as_str).collect();
    let mut report = Report {
        dry_run,
        dropped: Vec::new(),
        kept: 0,
    };
    for entry in staying {
        if names.contains(entry.id.as_str()) || as_of < entry.life {
            report.kept += 1;
            continue;
        }
        report
            .dropped
            .extend(drop_job(reach, &entry, dry_run, tombstone_ttl).await?);
    }
    output.report(&report)?;
    Ok(Status::Success)
}

/// All jobs of the store that do not expire, each once.
async fn staying_jobs(reach: &Reach) -> anyhow::Result<Vec<MetaEntry>> {
    let (mut staying, mut cursor) = (Vec::new(), Some(0));
    while let Some(from) = cursor {
        let page = reach
            .redis(|| reach.store().scan(from))
            .await
            .context("go through the jobs in redis")?;
        staying.extend(page.jobs.into_iter().filter(|entry| entry.stays));
        cursor = page.next;
    }
    staying.sort_by(|a, b| (&a.id, a.life).cmp(&(&b.id, b.life)));
    staying.dedup();
    Ok(staying)
}

/// Drops one job, unless another life of its id has begun meanwhile.
async fn drop_job(
    reach: &Reach,
    entry: &MetaEntry,
    dry_run: bool,
    tombstone_ttl: Duration,
) -> anyhow::Result<Option<Dropped>> {
    let id = &entry.id;
    let inspection = survey::inspect(reach, id, &Source::Plain).await?;
    let Some(meta) = inspection.meta.filter(|meta| meta.life == entry.life) else {
        return Ok(None);
    };
    if !dry_run {
        let ttl_s = tombstone_ttl.as_secs().max(1);
        reach
            .redis(|| reach.store().drop_job(id, meta.life, &meta.source, ttl_s, None))
            .await
            .with_context(|| format!("drop job {id}"))?;
    }
    Ok(Some(Dropped {
        id: id.to_string(),
        life: meta.life.to_string(),
        tasks: inspection.tasks,
        committed: meta.committed,
    }))
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let did = if self.dry_run {
            "would be dropped"
        } else {
            "dropped"
        };
        writeln!(
            f,
            "{} {did}, {} kept",
            counted(self.dropped.len() as u64, "job"),
            self.kept
        )?;
        let rows: Vec<_> = self
            .dropped
            .iter()
            .map(|job| {
                [
                    job.id.clone(),
                    job.life.clone(),
                    job.tasks.to_string(),
                    job.committed.to_string(),
                ]
            })
            .collect();
        f.write_str(&table(["ID", "LIFE", "TASKS", "COMMITTED"], &rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_sees_what_was_dropped() {
        let mut report = Report {
            dry_run: true,
            dropped: vec![Dropped {
                id: "a".to_owned(),
                life: "000000000000001f".to_owned(),
                tasks: 5,
                committed: 2,
            }],
            kept: 3,
        };
        assert_eq!(
            report.to_string(),
            "1 job would be dropped, 3 kept\n\
             ID  LIFE              TASKS  COMMITTED\n\
             a   000000000000001f  5      2\n"
        );
        report.dry_run = false;
        assert!(report.to_string().starts_with("1 job dropped, 3 kept\n"));
    }
}
