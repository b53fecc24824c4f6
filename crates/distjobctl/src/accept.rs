//! `accept-store`: an operator's word that what this store lacks is lost for good.

use std::fmt::{self, Display, Formatter};

use anyhow::Context as _;
use distjob_core::{Zxid, belonging::Belonging};
use distjob_runtime::{exit::Status, reach::Reach};
use serde::Serialize;

use crate::{
    output::{Output, counted},
    survey,
};

#[derive(Debug, Serialize)]
struct Report {
    /// Creation zxid of the directory of jobs: the mark from now on.
    ledger: String,
    /// The mark that was there; `null` when there was none.
    mark_before: Option<String>,
    /// Whether the mark was changed.
    changed: bool,
    /// How many znodes are among the jobs.
    jobs: u64,
}

pub(crate) async fn run(reach: &Reach, output: Output) -> anyhow::Result<Status> {
    let (belonging, ledger) = reach.belonging().await?;
    let (names, _) = survey::list(reach).await?;
    let changed = belonging != Belonging::Ours;
    if changed {
        reach
            .redis(|| reach.store().accept_ledger(ledger))
            .await
            .context("mark the store")?;
    }
    output.report(&Report::new(belonging, ledger, names.len() as u64))?;
    Ok(Status::Success)
}

impl Report {
    fn new(belonging: Belonging, ledger: Zxid, jobs: u64) -> Self {
        let mark_before = match belonging {
            Belonging::Ours => Some(ledger),
            Belonging::Foreign(mark) => Some(mark),
            Belonging::Unclaimed | Belonging::Unmarked => None,
        };
        Self {
            ledger: ledger.to_string(),
            mark_before: mark_before.map(|mark| mark.to_string()),
            changed: belonging != Belonging::Ours,
            jobs,
        }
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let ledger = &self.ledger;
        if !self.changed {
            return writeln!(
                f,
                "redis belongs to this ledger ({ledger}) already, nothing changed"
            );
        }
        match &self.mark_before {
            None => writeln!(f, "redis had no mark, now it belongs to this ledger ({ledger})")?,
            Some(mark) => writeln!(
                f,
                "redis belonged to ledger {mark}, now it belongs to this one ({ledger})"
            )?,
        }
        writeln!(
            f,
            "the daemons go on by themselves; of the {} in the ledger those whose data is not in redis become lost \
             (see: distjobctl jobs --state lost)",
            counted(self.jobs, "job")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_sees_what_changed_and_what_follows() {
        let text = |belonging| Report::new(belonging, Zxid::new(7), 2).to_string();
        assert_eq!(
            text(Belonging::Ours),
            "redis belongs to this ledger (0000000000000007) already, nothing changed\n"
        );
        assert!(text(Belonging::Unmarked).starts_with("redis had no mark, now"));
        let foreign = text(Belonging::Foreign(Zxid::new(9)));
        assert!(
            foreign.starts_with("redis belonged to ledger 0000000000000009, now"),
            "{foreign}"
        );
        assert!(foreign.contains("of the 2 jobs in the ledger"), "{foreign}");
    }
}
