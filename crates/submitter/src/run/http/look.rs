//! `GET /jobs/<id>`.

use distjob_core::{Conclusion, JobEntry, JobId, Source, store::Meta};
use distjob_runtime::zk::JobRead;
use hyper::StatusCode;
use serde_json::{Value, json};

use super::answer::Answer;
use crate::run::{Hall, desk::SubmitError, gate::Busy};

/// How far the job of that id has come: from the ledger, and its counts from the store; of one that is gone what its
/// tombstone tells.
pub(super) async fn look(hall: &Hall, id: &str) -> Answer {
    let id = match JobId::new(id) {
        Ok(id) => id,
        Err(error) => return Answer::refuse(StatusCode::BAD_REQUEST, &error),
    };
    // Whether work is taken in does not matter, but without a store there is nothing to tell.
    if let Err(busy @ Busy(distjob_core::pressure::Pressure::Away(_))) = hall.desk.gate.try_admit() {
        return busy.into();
    }
    match seen(hall, &id).await {
        Ok(Some(job)) => Answer::ok(&job),
        Ok(None) => Answer::refuse(StatusCode::NOT_FOUND, &format_args!("no job {id} is known")),
        Err(error) => SubmitError::Failed(error).into(),
    }
}

async fn seen(hall: &Hall, id: &JobId) -> anyhow::Result<Option<Value>> {
    let reach = &hall.desk.reach;
    let read = reach
        .zookeeper(|ledger| async move { ledger.read(id).await })
        .await?;
    let (entry, source) = match read {
        JobRead::Job(entry) => {
            let source = entry.data.source.clone();
            (Some(entry), source)
        }
        JobRead::Gone | JobRead::Unreadable(..) => (None, Source::Plain),
    };
    let inspection = reach.redis(|| reach.store().inspect(id, &source)).await?;
    Ok(match entry {
        Some(entry) => {
            let meta = inspection.meta.filter(|meta| meta.life == entry.life);
            Some(of_ledger(id, &entry, meta.as_ref()))
        }
        None => inspection.meta.and_then(|meta| of_tombstone(id, &meta)),
    })
}

fn of_ledger(id: &JobId, entry: &JobEntry, meta: Option<&Meta>) -> Value {
    let data = &entry.data;
    json!({
        "id": id.as_str(),
        "state": data.state.as_str(),
        "queue": data.queue.as_str(),
        "tasks": data.count,
        "committed": meta.map(|meta| meta.committed),
        "failed": data.failed.or(meta.map(|meta| meta.failed)),
        "conclusion": data.conclusion.map(Conclusion::as_str),
        "created_ms": entry.created_ms,
    })
}

/// A job that is delivered or cancelled, and gone from the ledger.
fn of_tombstone(id: &JobId, meta: &Meta) -> Option<Value> {
    let ending = meta.ending()?;
    Some(json!({
        "id": id.as_str(),
        "state": "gone",
        "tasks": ending.count,
        "committed": ending.count,
        "failed": ending.failed,
        "conclusion": ending.conclusion.as_str(),
    }))
}
